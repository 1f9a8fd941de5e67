//! Settings of the ready pages: `[mainstay.pages]`.

/// The pages on which people sign up, sign in and look after their accounts.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// They were asked for. Otherwise only development has them.
    pub is_wanted: bool,
    /// The application, as the pages call it. Empty: by its host.
    pub name: String,
    /// A picture above the pages, at an `https` address or a path of this server.
    pub logo_url: Option<String>,
    pub accent: Accent,
    /// The project's own rules, behind those of the pages.
    pub stylesheet: String,
    /// The widget by which people show that they are some, where a captcha is asked for.
    pub widget: Option<Widget>,
}

/// The colour of buttons and links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accent {
    red: u8,
    green: u8,
    blue: u8,
}

impl Default for Accent {
    fn default() -> Self {
        Accent {
            red: 0x14,
            green: 0x53,
            blue: 0x2d,
        }
    }
}

impl Accent {
    /// `#rrggbb`. `None`: it is written otherwise.
    pub fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        Some(Accent {
            red: part(0)?,
            green: part(2)?,
            blue: part(4)?,
        })
    }

    /// As a stylesheet has it.
    pub fn css(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }

    /// Black or white, whichever is easier to read on it (WCAG 2.2, "contrast ratio").
    pub fn text_css(self) -> &'static str {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            match part <= 0.04045 {
                true => part / 12.92,
                false => ((part + 0.055) / 1.055).powf(2.4),
            }
        };
        let luminance = 0.2126 * linear(self.red) + 0.7152 * linear(self.green) + 0.0722 * linear(self.blue);
        // Both ratios are the same where (1.05 / (l + 0.05)) = ((l + 0.05) / 0.05).
        match luminance > 0.179 {
            true => "#000",
            false => "#fff",
        }
    }
}

/// Whose widget it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WidgetKind {
    HCaptcha,
    Turnstile,
}

/// A captcha's widget: the one thing of a page that needs a script.
#[derive(Clone, Debug)]
pub struct Widget {
    pub kind: WidgetKind,
    /// The site's public key at the service.
    pub site_key: String,
}

impl WidgetKind {
    /// The kind that the captcha's provider of this name has.
    pub fn of_provider(name: &str) -> Option<Self> {
        match name {
            "hcaptcha" => Some(WidgetKind::HCaptcha),
            "turnstile" => Some(WidgetKind::Turnstile),
            _ => None,
        }
    }

    pub fn script(self) -> &'static str {
        match self {
            WidgetKind::HCaptcha => "https://js.hcaptcha.com/1/api.js",
            WidgetKind::Turnstile => "https://challenges.cloudflare.com/turnstile/v0/api.js",
        }
    }

    /// The class of the element that becomes the widget.
    pub fn class(self) -> &'static str {
        match self {
            WidgetKind::HCaptcha => "h-captcha",
            WidgetKind::Turnstile => "cf-turnstile",
        }
    }

    /// The field that the widget adds to its form.
    pub fn field(self) -> &'static str {
        match self {
            WidgetKind::HCaptcha => "h-captcha-response",
            WidgetKind::Turnstile => "cf-turnstile-response",
        }
    }

    /// Where its script, frames, styles and requests come from and go to, as a content security policy names them.
    /// Source: hCaptcha, "Content-Security-Policy Settings"; Cloudflare, "Turnstile: Content Security Policy".
    pub fn sources(self) -> &'static str {
        match self {
            WidgetKind::HCaptcha => "https://hcaptcha.com https://*.hcaptcha.com",
            WidgetKind::Turnstile => "https://challenges.cloudflare.com",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_can_be_read_on_every_accent() {
        for (accent, text) in [
            ("#14532d", "#fff"),
            ("#FFFFFF", "#000"),
            ("#000000", "#fff"),
            ("#ffcc00", "#000"),
            ("#0057b7", "#fff"),
        ] {
            let read = Accent::read(accent).unwrap();
            assert_eq!(read.css(), accent.to_ascii_lowercase());
            assert_eq!(read.text_css(), text, "{accent}");
        }
        for bad in ["", "#fff", "14532d", "#14532g", "#14532d;", "red", "#+14532", "#1é32d"] {
            assert_eq!(Accent::read(bad), None, "{bad}");
        }
    }
}
