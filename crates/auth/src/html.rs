//! Markup, written so that text cannot become any: every text and every value of an attribute is escaped here.
//!
//! Names of elements and attributes are literals. What an address in `href` may lead to is its writer's affair.

use crate::messages::template::escape;

/// Names and values. An empty value is how a switch such as `required` is set.
pub type Attributes<'a> = &'a [(&'static str, &'a str)];

/// Markup so far.
#[derive(Debug, Default)]
pub struct Html(String);

impl Html {
    /// What `write` writes.
    pub fn of(write: impl FnOnce(&mut Html)) -> Self {
        let mut html = Html::default();
        write(&mut html);
        html
    }

    /// A whole document, with what HTML begins with.
    pub fn document(&self) -> String {
        format!("<!doctype html>{}", self.0)
    }

    /// An element with others in it.
    pub fn element(&mut self, name: &'static str, attributes: Attributes<'_>, inner: impl FnOnce(&mut Html)) {
        self.open(name, attributes);
        inner(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// An element with nothing but text in it.
    pub fn leaf(&mut self, name: &'static str, attributes: Attributes<'_>, text: &str) {
        self.element(name, attributes, |html| html.text(text));
    }

    /// An element that has no inside, such as `input`.
    pub fn void(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.open(name, attributes);
    }

    pub fn text(&mut self, text: &str) {
        escape(&mut self.0, text);
    }

    /// Markup that was written before.
    pub fn put(&mut self, other: &Html) {
        self.0.push_str(&other.0);
    }

    fn open(&mut self, name: &'static str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            escape(&mut self.0, value);
            self.0.push('"');
        }
        self.0.push('>');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_values_stay_what_they_are() {
        let hostile = "\"><script>alert('1')</script>&";
        let html = Html::of(|html| {
            html.element("p", &[("title", hostile)], |html| {
                html.text(hostile);
                html.void("input", &[("value", hostile), ("required", "")]);
                html.leaf("b", &[], hostile);
            });
        });
        let escaped = "&#34;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;";
        assert_eq!(
            html.document(),
            format!(
                "<!doctype html><p title=\"{escaped}\">{escaped}<input value=\"{escaped}\" required=\"\">\
                 <b>{escaped}</b></p>"
            )
        );
    }
}
