//! A request's shape and its values, told apart without parsing more than must be.
//!
//! Two requests of one shape differ in values alone and share a plan and its SQL. So the shape is written into a key:
//! names and operators as they stand, a mark where a value was. What is a value here is given a slot, counted over the
//! parameters in their order; the parser gives its operands the same slots ([`Shape::slots`]).
//! Not here: what the key is used for (`cache`), what names mean (`planner`).

use super::grammar;
use super::query::{Parameter, ParameterKind};
use super::reader::Reader;
use super::syntax::{Filter, LogicTree, Operation, PathOperand, RawValue, Slot};

/// Ends every text in a key. It cannot occur in a parameter, since NUL is refused there, so no text can imitate
/// another's end.
const END: u8 = 0;

/// The values of a query's filters and the slots where each parameter's values begin.
#[derive(Debug, Default)]
pub struct Shape {
    pub values: Vec<RawValue>,
    /// For each parameter, in order.
    pub slots: Vec<Slot>,
    /// False if something was not understood; then the parser will say what, and nothing may be kept.
    pub is_complete: bool,
}

/// Writes the shape of `parameters` to `key` and takes their values out.
pub fn shape_of(parameters: &[Parameter<'_>], key: &mut Vec<u8>) -> Shape {
    let mut shape = Shape {
        values: Vec::new(),
        slots: Vec::with_capacity(parameters.len()),
        is_complete: true,
    };
    for parameter in parameters {
        shape.slots.push(shape.values.len());
        let Some(value) = parameter.value.as_deref() else {
            continue;
        };
        match parameter.kind() {
            // Their numbers are values; that they are there is written by whoever reads the windows.
            ParameterKind::Limit | ParameterKind::Offset => {}
            ParameterKind::Select | ParameterKind::Columns | ParameterKind::OnConflict | ParameterKind::Order => {
                text(key, &parameter.name);
                text(key, value);
            }
            ParameterKind::Filter => {
                text(key, &parameter.name);
                match plain_filter(value) {
                    Some((head, value)) => {
                        text(key, head);
                        shape.values.push(value);
                    }
                    None => match Reader::read(value, grammar::operation) {
                        Ok((is_negated, operation)) => {
                            text(key, if is_negated { "not" } else { "" });
                            operation_shape(key, operation, &mut shape.values);
                        }
                        Err(_) => shape.is_complete = false,
                    },
                }
            }
            ParameterKind::Logic => {
                let operator = parameter.name.rsplit('.').next().unwrap_or_default();
                text(key, &parameter.name);
                match Reader::read(&format!("{operator}{value}"), grammar::logic_tree) {
                    Ok(tree) => tree_shape(key, tree, &mut shape.values),
                    Err(_) => shape.is_complete = false,
                }
            }
        }
    }
    shape
}

/// Writes one text and its end.
pub fn text(key: &mut Vec<u8>, text: &str) {
    key.extend_from_slice(text.as_bytes());
    key.push(END);
}

/// The everyday filters, split at their operator without the grammar: `eq.5` into `eq.` and `5`.
fn plain_filter(text: &str) -> Option<(&str, RawValue)> {
    let negation = if text.starts_with("not.") { 4 } else { 0 };
    let end = text[negation..].find('.')? + negation;
    let (head, value) = text.split_at(end + 1);
    match &head[negation..end] {
        "in" => {
            let list = plain_list(value)?;
            Some((head, RawValue::List(list)))
        }
        name => {
            grammar::operator_named(name)?;
            Some((head, RawValue::Text(value.to_owned())))
        }
    }
}

/// `(1,2,3)` without quotes or blanks outside.
fn plain_list(text: &str) -> Option<Vec<String>> {
    let inside = text.strip_prefix('(')?.strip_suffix(')')?;
    // Blanks after the opening parenthesis are not part of the first element; the grammar knows.
    if inside.contains(['"', ')']) || inside.starts_with([' ', '\t']) {
        return None;
    }
    Some(inside.split(',').map(str::to_owned).collect())
}

fn operation_shape(key: &mut Vec<u8>, operation: Operation, values: &mut Vec<RawValue>) {
    let value = match operation {
        Operation::Is(what) => return text(key, &format!("is.{what:?}")),
        Operation::Compare {
            operator,
            quantifier,
            value,
        } => {
            text(key, &format!("{operator:?}{quantifier:?}"));
            value
        }
        Operation::In(value) => {
            text(key, "in");
            value
        }
        Operation::IsDistinct(value) => {
            text(key, "isdistinct");
            value
        }
        Operation::FullText { query, language, value } => {
            text(key, &format!("{query:?}{language:?}"));
            value
        }
    };
    values.push(value.value);
}

fn tree_shape(key: &mut Vec<u8>, tree: LogicTree, values: &mut Vec<RawValue>) {
    match tree {
        LogicTree::Filter(Filter {
            field,
            is_negated,
            operation,
        }) => {
            text(key, "field");
            text(key, &field.name);
            for step in &field.path {
                let (kind, operand) = match &step.operand {
                    PathOperand::Key(operand) => ("key", operand),
                    PathOperand::Index(operand) => ("index", operand),
                };
                text(key, if step.as_text { "->>" } else { "->" });
                text(key, kind);
                text(key, operand);
            }
            text(key, if is_negated { "not" } else { "" });
            operation_shape(key, operation, values);
        }
        LogicTree::Group {
            is_negated,
            operator,
            members,
        } => {
            text(key, &format!("{is_negated}{operator:?}{}", members.len()));
            for member in members {
                tree_shape(key, member, values);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::query::parameters;

    fn shape(query: &str) -> (Vec<u8>, Shape) {
        let mut key = Vec::new();
        let shape = shape_of(&parameters(query).unwrap(), &mut key);
        (key, shape)
    }

    #[test]
    fn values_do_not_change_the_key_and_everything_else_does() {
        let (key, found) = shape("status=eq.paid&id=in.(1,2)&or=(a.lt.5,b.is.null)&select=id&limit=3");
        assert_eq!(found.values.len(), 3);
        assert_eq!(found.slots, [0, 1, 2, 3, 3]);
        assert_eq!(
            key,
            shape("status=eq.sent&id=in.(3)&or=(a.lt.7,b.is.null)&select=id&limit=9").0
        );
        for other in [
            "status=neq.paid&id=in.(1,2)&or=(a.lt.5,b.is.null)&select=id",
            "status=eq.paid&id=in.(1,2)&or=(a.lt.5,b.is.true)&select=id",
            "status=eq.paid&id=in.(1,2)&or=(a.lt.5,c.is.null)&select=id",
            "status=eq.paid&id=in.(1,2)&and=(a.lt.5,b.is.null)&select=id",
            "status=eq.paid&id=in.(1,2)&or=(a.lt.5,b.is.null)&select=id,x",
        ] {
            assert_ne!(key, shape(other).0, "{other}");
        }
    }

    #[test]
    fn quoted_lists_are_read_by_the_grammar_into_the_same_shape_of_values() {
        let (_, found) = shape("id=in.(\"a,b\",c)");
        assert_eq!(found.values, [RawValue::List(vec!["a,b".into(), "c".into()])]);
        let (_, found) = shape("id=in.( ,3)");
        assert_eq!(found.values, [RawValue::List(vec!["".into(), "3".into()])]);
    }

    #[test]
    fn a_value_cannot_imitate_another_shape() {
        assert_ne!(shape("a=eq.1&b=eq.2").0, shape("a=eq.1%26b%3Deq.2").0);
        assert_ne!(shape("select=a%26columns%3Dx").0, shape("select=a&columns=x").0);
    }

    #[test]
    fn what_cannot_be_read_is_not_complete() {
        assert!(!shape("id=0").1.is_complete);
        assert!(!shape("or=()").1.is_complete);
    }
}
