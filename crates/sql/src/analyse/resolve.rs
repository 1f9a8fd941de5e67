//! Chooses operators and functions as PostgreSQL does.
//!
//! Source: PostgreSQL 15 manual, 10.2 (operators) and 10.3 (functions).

use mainstay_core::catalog::Catalog;
use mainstay_core::error::DatabaseError;
use mainstay_core::types::{Category, Type};

use super::Result;
use super::casts::{is_implicit, is_preferred};
use super::coerce::{common_type, place, to_type};
use super::kinds::Arg;
use super::operators::{self, OperatorEntry};
use super::server;
use crate::typed::{CastContext, Expr, ExprKind};

/// What a candidate declares for one argument.
#[derive(Clone, Debug, PartialEq)]
pub enum Slot {
    Exact(Type),
    Poly(Arg),
}

impl Slot {
    /// From a table's declaration.
    pub fn of(argument: Arg) -> Self {
        match argument.concrete() {
            Some(ty) => Slot::Exact(ty),
            None => Slot::Poly(argument),
        }
    }

    fn is_exactly(&self, ty: &Type) -> bool {
        matches!(self, Slot::Exact(exact) if exact == ty)
    }

    fn accepts(&self, ty: &Type) -> bool {
        match self {
            Slot::Exact(exact) => is_implicit(ty, exact) || matches!((ty, exact), (Type::Composite(_), Type::Record)),
            Slot::Poly(_) if *ty == Type::Unknown => true,
            Slot::Poly(Arg::AnyEnum) => matches!(ty.base(), Type::Enum(_)),
            Slot::Poly(Arg::AnyArray | Arg::AnyCompatibleArray) => matches!(ty.base(), Type::Array(_)),
            Slot::Poly(Arg::AnyNonArray) => !matches!(ty.base(), Type::Array(_)),
            Slot::Poly(_) => true,
        }
    }

    fn category(&self) -> Category {
        match self {
            Slot::Exact(ty) => ty.category(),
            Slot::Poly(_) => Category::Pseudo,
        }
    }

    fn is_preferred(&self) -> bool {
        matches!(self, Slot::Exact(ty) if is_preferred(ty))
    }
}

/// What choosing among candidates came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice {
    /// The position of the candidate.
    One(usize),
    None,
    Ambiguous,
}

/// Chooses by argument types among candidates that all take so many arguments.
pub fn choose(candidates: &[Vec<Slot>], inputs: &[Type]) -> Choice {
    let exact = |slots: &Vec<Slot>| slots.iter().zip(inputs).all(|(slot, ty)| slot.is_exactly(ty));
    if let Some(found) = candidates.iter().position(exact) {
        return Choice::One(found);
    }
    let mut kept: Vec<usize> = (0..candidates.len())
        .filter(|at| candidates[*at].iter().zip(inputs).all(|(slot, ty)| slot.accepts(ty)))
        .filter(|at| is_consistent(&candidates[*at], inputs))
        .collect();
    match kept.as_slice() {
        [] => return Choice::None,
        [only] => return Choice::One(*only),
        _ => {}
    }
    let inputs: Vec<Type> = inputs.iter().map(|ty| ty.base().clone()).collect();
    let known = |at: usize| inputs[at] != Type::Unknown;
    // Most exact matches, then most exact or preferred ones.
    keep_best(&mut kept, |at| {
        candidates[at]
            .iter()
            .enumerate()
            .filter(|(i, slot)| known(*i) && slot.is_exactly(&inputs[*i]))
            .count()
    });
    if let [only] = kept.as_slice() {
        return Choice::One(*only);
    }
    keep_best(&mut kept, |at| {
        candidates[at]
            .iter()
            .enumerate()
            .filter(|(i, slot)| {
                known(*i)
                    && (slot.is_exactly(&inputs[*i]) || slot.is_preferred() && slot.category() == inputs[*i].category())
            })
            .count()
    });
    if let [only] = kept.as_slice() {
        return Choice::One(*only);
    }
    if (0..inputs.len()).all(known) {
        return Choice::Ambiguous;
    }
    if let Some(found) = by_category(candidates, &inputs, &mut kept) {
        return Choice::One(found);
    }
    by_one_known_type(candidates, &inputs, &kept)
}

/// Keeps the candidates with the highest score.
fn keep_best(kept: &mut Vec<usize>, score: impl Fn(usize) -> usize) {
    let best = kept.iter().map(|at| score(*at)).max().unwrap_or_default();
    kept.retain(|at| score(*at) == best);
}

/// The rule for unknown literals: a category per position, text where any candidate takes text.
fn by_category(candidates: &[Vec<Slot>], inputs: &[Type], kept: &mut Vec<usize>) -> Option<usize> {
    let mut wanted: Vec<Option<(Category, bool)>> = vec![None; inputs.len()];
    for (at, input) in inputs.iter().enumerate() {
        if *input != Type::Unknown {
            continue;
        }
        let slots: Vec<&Slot> = kept.iter().map(|candidate| &candidates[*candidate][at]).collect();
        let first = slots.first()?.category();
        let category = if slots.iter().any(|slot| slot.category() == Category::String) {
            Category::String
        } else if slots.iter().all(|slot| slot.category() == first) {
            first
        } else {
            return None;
        };
        let preferred = slots
            .iter()
            .any(|slot| slot.category() == category && slot.is_preferred());
        wanted[at] = Some((category, preferred));
    }
    let fits = |candidate: &usize| {
        candidates[*candidate]
            .iter()
            .zip(&wanted)
            .all(|(slot, wanted)| match wanted {
                Some((category, preferred)) => slot.category() == *category && (!preferred || slot.is_preferred()),
                None => true,
            })
    };
    let fitting: Vec<usize> = kept.iter().copied().filter(fits).collect();
    if !fitting.is_empty() {
        *kept = fitting;
    }
    match kept.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}

/// The last rule: if all known inputs have one type, the unknown ones are taken to have it too.
fn by_one_known_type(candidates: &[Vec<Slot>], inputs: &[Type], kept: &[usize]) -> Choice {
    let mut known = inputs.iter().filter(|ty| **ty != Type::Unknown);
    let Some(first) = known.next() else {
        return Choice::Ambiguous;
    };
    if known.any(|ty| ty != first) {
        return Choice::Ambiguous;
    }
    let fitting: Vec<usize> = kept
        .iter()
        .copied()
        .filter(|at| candidates[*at].iter().all(|slot| slot.accepts(first)))
        .filter(|at| is_consistent(&candidates[*at], &vec![first.clone(); inputs.len()]))
        .collect();
    match fitting.as_slice() {
        [only] => Choice::One(*only),
        _ => Choice::Ambiguous,
    }
}

/// True if polymorphic slots that must agree do agree.
fn is_consistent(slots: &[Slot], inputs: &[Type]) -> bool {
    let mut element: Option<Type> = None;
    let mut compatible: Vec<Expr> = Vec::new();
    for (slot, input) in slots.iter().zip(inputs) {
        let found = match (slot, input.base()) {
            (_, Type::Unknown) => continue,
            (Slot::Poly(Arg::AnyCompatible), other) => {
                compatible.push(Expr {
                    ty: other.clone(),
                    ..Expr::null()
                });
                continue;
            }
            (Slot::Poly(Arg::AnyCompatibleArray), Type::Array(inner)) => {
                compatible.push(Expr {
                    ty: (**inner).clone(),
                    ..Expr::null()
                });
                continue;
            }
            (Slot::Poly(Arg::AnyArray), Type::Array(inner)) => (**inner).clone(),
            (Slot::Poly(Arg::AnyElement | Arg::AnyEnum | Arg::AnyNonArray), other) => other.clone(),
            _ => continue,
        };
        match &element {
            None => element = Some(found),
            Some(known) if *known != found => return false,
            Some(_) => {}
        }
    }
    common_type(&compatible.iter().collect::<Vec<_>>(), "")
        .is_ok_and(|common| compatible.iter().all(|input| is_implicit(&input.ty, &common)))
}

/// What the polymorphic slots of a chosen candidate stand for.
#[derive(Clone, Debug, Default)]
pub struct Bindings {
    element: Option<Type>,
    compatible: Option<Type>,
}

impl Bindings {
    /// Works out the bindings from the arguments. Errors: 42804 where nothing says what a type is.
    pub fn of(slots: &[Slot], arguments: &[Expr]) -> Result<Self> {
        let mut element = None;
        let mut compatible: Vec<Expr> = Vec::new();
        let mut needs_element = false;
        for (slot, argument) in slots.iter().zip(arguments) {
            let ty = argument.ty.base();
            match (slot, ty) {
                (Slot::Poly(Arg::AnyElement | Arg::AnyEnum | Arg::AnyNonArray), Type::Unknown)
                | (Slot::Poly(Arg::AnyArray), Type::Unknown) => needs_element = true,
                (Slot::Poly(Arg::AnyArray), Type::Array(inner)) => element = Some((**inner).clone()),
                (Slot::Poly(Arg::AnyElement | Arg::AnyNonArray | Arg::AnyEnum), other) => {
                    // A domain stays one, unless another argument is of its base type.
                    element = Some(match &element {
                        Some(known) if *known != argument.ty => other.clone(),
                        _ => argument.ty.clone(),
                    });
                }
                (Slot::Poly(Arg::AnyCompatible), _) => compatible.push(argument.clone()),
                (Slot::Poly(Arg::AnyCompatibleArray), Type::Array(inner)) => {
                    compatible.push(Expr {
                        ty: (**inner).clone(),
                        ..argument.clone()
                    });
                }
                _ => {}
            }
        }
        if needs_element && element.is_none() {
            return Err(DatabaseError::new(
                "42804",
                "could not determine polymorphic type because input has type unknown",
            ));
        }
        let compatible = match compatible.as_slice() {
            [] => None,
            found => Some(common_type(
                &found.iter().collect::<Vec<_>>(),
                "arguments of anycompatible family",
            )?),
        };
        Ok(Bindings { element, compatible })
    }

    /// The type a slot stands for; `None` leaves the argument as it is.
    pub fn slot(&self, slot: &Slot) -> Option<Type> {
        match slot {
            Slot::Exact(ty) => Some(ty.clone()),
            Slot::Poly(argument) => self.argument(*argument),
        }
    }

    /// The type a declaration stands for.
    pub fn argument(&self, argument: Arg) -> Option<Type> {
        let array = |ty: &Option<Type>| ty.as_ref().map(|element| Type::Array(Box::new(element.base().clone())));
        match argument {
            Arg::AnyElement | Arg::AnyEnum | Arg::AnyNonArray => self.element.clone(),
            Arg::AnyArray => array(&self.element),
            Arg::AnyCompatible => self.compatible.clone(),
            Arg::AnyCompatibleArray => array(&self.compatible),
            other => other.concrete(),
        }
    }
}

/// Casts arguments to what the chosen candidate declares; `"any"` leaves them, unknown ones become text.
pub fn coerce_arguments(
    catalog: &Catalog,
    slots: &[Slot],
    arguments: Vec<Expr>,
    bindings: &Bindings,
) -> Result<Vec<Expr>> {
    let mut done = Vec::with_capacity(arguments.len());
    for (slot, argument) in slots.iter().zip(arguments) {
        let wanted = match bindings.slot(slot) {
            Some(ty) => ty,
            None if argument.ty == Type::Unknown => Type::Text,
            None => {
                done.push(argument);
                continue;
            }
        };
        // A domain or varchar keeps its type under a polymorphic slot.
        if matches!(slot, Slot::Poly(_)) && *argument.ty.base() == wanted {
            done.push(argument);
            continue;
        }
        let (from, position) = (argument.ty.clone(), argument.position);
        let Some(argument) = to_type(catalog, argument, &wanted, CastContext::Implicit)? else {
            let message = format!("cannot cast type {from} to {wanted}");
            return Err(place(DatabaseError::new("42846", message), position));
        };
        done.push(argument);
    }
    Ok(done)
}

/// `left name right`, or `name right`.
///
/// Errors: 42883 `operator does not exist: text = integer`, 42725 `operator is not unique: unknown + unknown`.
pub fn operator(catalog: &Catalog, name: &str, left: Option<Expr>, right: Expr, position: u32) -> Result<Expr> {
    // The grammar's second spelling.
    let name = if name == "!=" { "<>" } else { name };
    let entry =
        find_operator(name, left.as_ref().map(|expr| &expr.ty), &right.ty).map_err(|error| place(error, position))?;
    let mut slots = Vec::with_capacity(2);
    let mut arguments = Vec::with_capacity(2);
    if let (Some(argument), Some(expr)) = (entry.left, left) {
        slots.push(Slot::of(argument));
        arguments.push(expr);
    }
    slots.push(Slot::of(entry.right));
    arguments.push(right);
    apply_operator(catalog, entry, &slots, arguments, position)
}

fn apply_operator(
    catalog: &Catalog,
    entry: &'static OperatorEntry,
    slots: &[Slot],
    mut arguments: Vec<Expr>,
    position: u32,
) -> Result<Expr> {
    // `text || anything`: the other side in its text form.
    if entry.name == "||" && (entry.left == Some(Arg::AnyNonArray) || entry.right == Arg::AnyNonArray) {
        let mut texts = Vec::with_capacity(2);
        for argument in arguments {
            let from = argument.ty.clone();
            let text = to_type(catalog, argument, &Type::Text, CastContext::Explicit)?.ok_or_else(|| {
                place(
                    DatabaseError::new("42846", format!("cannot cast type {from} to text")),
                    position,
                )
            })?;
            texts.push(text);
        }
        let text = operators::overloads("||")
            .iter()
            .find(|entry| entry.left == Some(Arg::Text) && entry.right == Arg::Text);
        let operator = *text.unwrap_or(&entry);
        let kind = ExprKind::Operator {
            operator,
            arguments: texts,
        };
        return Ok(Expr::new(kind, Type::Text).at(position));
    }
    let bindings = Bindings::of(slots, &arguments).map_err(|error| place(error, position))?;
    arguments = coerce_arguments(catalog, slots, arguments, &bindings)?;
    let ty = bindings.argument(entry.result).unwrap_or(Type::Text);
    Ok(Expr::new(
        ExprKind::Operator {
            operator: entry,
            arguments,
        },
        ty,
    )
    .at(position))
}

/// Finds the operator for argument types. Errors: 42883, 42725, without position.
pub fn find_operator(name: &str, left: Option<&Type>, right: &Type) -> Result<&'static OperatorEntry> {
    let candidates: Vec<&'static OperatorEntry> = operators::overloads(name)
        .iter()
        .copied()
        .filter(|entry| entry.left.is_some() == left.is_some())
        .collect();
    let base = |ty: &Type| ty.base().clone();
    // One side unknown: first try that it has the other's type.
    if let Some(left) = left {
        let (assumed_left, assumed_right) = match (left, right) {
            (Type::Unknown, right) => (base(right), base(right)),
            (left, Type::Unknown) => (base(left), base(left)),
            (left, right) => (base(left), base(right)),
        };
        let exact = candidates.iter().find(|entry| {
            entry.left.is_some_and(|argument| argument.is(&assumed_left)) && entry.right.is(&assumed_right)
        });
        if let Some(found) = exact.filter(|_| assumed_left != Type::Unknown) {
            return Ok(found);
        }
    }
    let slots: Vec<Vec<Slot>> = candidates
        .iter()
        .map(|entry| {
            entry
                .left
                .iter()
                .chain(std::iter::once(&entry.right))
                .map(|arg| Slot::of(*arg))
                .collect()
        })
        .collect();
    let inputs: Vec<Type> = left.into_iter().chain(std::iter::once(right)).cloned().collect();
    let spelled = match left {
        Some(left) => format!("{left} {name} {right}"),
        None => format!("{name} {right}"),
    };
    match choose(&slots, &inputs) {
        Choice::One(found) => Ok(candidates[found]),
        Choice::Ambiguous => Err(
            DatabaseError::new("42725", format!("operator is not unique: {spelled}"))
                .hint("Could not choose a best candidate operator. You might need to add explicit type casts."),
        ),
        Choice::None if server::has_operator(name, left, right) => Err(DatabaseError::unavailable(
            &format!("the operator {spelled}"),
            "",
            1,
            None,
        )),
        Choice::None => {
            let hint = if left.is_some() {
                "No operator matches the given name and argument types. You might need to add explicit type casts."
            } else {
                "No operator matches the given name and argument type. You might need to add an explicit type cast."
            };
            Err(DatabaseError::new("42883", format!("operator does not exist: {spelled}")).hint(hint))
        }
    }
}

/// True if values of the type can be told equal (GROUP BY, DISTINCT, set operations).
pub fn has_equality(ty: &Type) -> bool {
    if let Type::Array(element) = ty.base() {
        return has_equality(element);
    }
    !matches!(ty.base(), Type::Json | Type::Other(_)) && find_operator("=", Some(ty), ty).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, left: Type, right: Type) -> String {
        match find_operator(name, Some(&left), &right) {
            Ok(entry) => format!("{:?} {} {:?}", entry.left.unwrap(), entry.name, entry.right),
            Err(error) => error.sqlstate,
        }
    }

    #[test]
    fn operators_are_chosen_by_type() {
        assert_eq!(found("=", Type::Int4, Type::Unknown), "Int4 = Int4");
        assert_eq!(found("=", Type::Varchar, Type::Unknown), "Text = Text");
        assert_eq!(found("=", Type::Varchar, Type::Varchar), "Text = Text");
        assert_eq!(found("=", Type::Text, Type::Int4), "42883");
        assert_eq!(found("<", Type::Date, Type::Timestamp), "Timestamp < Timestamp");
        assert_eq!(found("<", Type::Date, Type::Timestamptz), "Timestamptz < Timestamptz");
        assert_eq!(found("*", Type::Int4, Type::Numeric), "Numeric * Numeric");
        assert_eq!(found("*", Type::Int4, Type::Float8), "Float8 * Float8");
        assert_eq!(found("+", Type::Unknown, Type::Unknown), "42725");
        assert_eq!(found("||", Type::Unknown, Type::Unknown), "Text || Text");
        assert_eq!(found("||", Type::Text, Type::Int4), "Text || AnyNonArray");
        assert_eq!(found("->>", Type::Jsonb, Type::Unknown), "Jsonb ->> Text");
        assert_eq!(found("-", Type::Timestamptz, Type::Interval), "Timestamptz - Interval");
        assert_eq!(found("=", Type::Name, Type::Text), "Text = Text");
        assert_eq!(found("*", Type::Interval, Type::Int4), "Interval * Float8");
    }
}
