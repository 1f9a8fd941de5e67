//! Function calls: which function is meant, its arguments, and what the call becomes.
//!
//! Lives here: candidates from the built-in tables and the catalog's routines, named and default arguments.
//! Not here: aggregates and windows (`window`), request values and sequences (`special`), routine bodies (`routine`).

use std::sync::Arc;

use mainstay_core::catalog::Routine;
use mainstay_core::error::DatabaseError;
use mainstay_core::name::{Ident, QualifiedName};
use mainstay_core::types::{Type, TypeModifier};

use super::Result;
use super::aggregates::{self, AggregateEntry, WindowEntry};
use super::casts::{is_implicit, pathway};
use super::coerce::{self, place};
use super::functions::{self, FunctionEntry, ServerArgument, SetFunctionEntry};
use super::kinds::Arg;
use super::resolve::{Bindings, Choice, Slot, choose, coerce_arguments};
use super::scope::State;
use super::server;
use crate::ast::{Argument, Expr as Written, ExprKind as WrittenKind, FunctionCall, ObjectName};
use crate::parse;
use crate::typed::{Aggregate, CastContext, ContextValue, Expr, ExprKind, OutputColumn, TableFunction};

/// Something a call may mean.
#[derive(Clone)]
pub enum Target {
    Function(&'static FunctionEntry),
    Set(&'static SetFunctionEntry),
    Aggregate(&'static AggregateEntry),
    Window(&'static WindowEntry),
    Routine(Arc<Routine>),
}

/// A target arranged for the arguments of one call.
struct Candidate {
    target: Target,
    /// Declared types in the order of the call's arguments.
    slots: Vec<Slot>,
    /// For each declared argument, the call's argument; `None` takes the default.
    order: Vec<Option<usize>>,
    /// The call's arguments from here on are elements of the last declared one.
    elements_from: Option<usize>,
    /// Another function of the same schema takes the call's arguments just as well.
    is_ambiguous: bool,
}

impl Candidate {
    /// Takes in another candidate with the same slots, which comes later in the search path or is of the same schema.
    ///
    /// Of one schema, a function that takes the arguments one by one goes before one that makes an array of them.
    fn meet(&mut self, other: Candidate) {
        let (Target::Routine(mine), Target::Routine(its)) = (&self.target, &other.target) else {
            return;
        };
        if mine.name.schema != its.name.schema {
            return;
        }
        match (self.elements_from.is_some(), other.elements_from.is_some()) {
            (false, true) => {}
            (true, false) => *self = other,
            _ => self.is_ambiguous = true,
        }
    }
}

/// A call whose target is known: arguments in declared order, cast, with defaults filled in.
pub struct Resolved {
    pub target: Target,
    pub arguments: Vec<Expr>,
    pub ty: Type,
}

impl State<'_> {
    /// Types a function call.
    pub fn call(&mut self, call: &FunctionCall, position: u32) -> Result<Expr> {
        if let Some(result) = self.other_call(call, position) {
            return result;
        }
        let arguments = self.arguments(call)?;
        self.plain_call(call, arguments, position)
    }

    /// Anything but a scalar function: request values, sequences, aggregates, windows.
    fn other_call(&mut self, call: &FunctionCall, position: u32) -> Option<Result<Expr>> {
        if call.within_group {
            return Some(self.ordered_set_call(call, position));
        }
        if let Some(result) = self.special_call(call, position).transpose() {
            return Some(result);
        }
        if call.over.is_some() {
            return Some(self.window_call(call, position));
        }
        if !is_builtin(&call.name) {
            return None;
        }
        if aggregates::aggregates(&call.name.name).next().is_some() {
            return Some(self.aggregate_call(call, position));
        }
        if aggregates::windows(&call.name.name).next().is_some() {
            let message = format!("window function {} requires an OVER clause", call.name.name);
            return Some(Err(place(DatabaseError::new("42809", message), position)));
        }
        None
    }

    /// A call of a scalar function with typed arguments. Apart from [`call`](Self::call), which is on the stack once
    /// for every level of nesting.
    fn plain_call(&mut self, call: &FunctionCall, arguments: Vec<Expr>, position: u32) -> Result<Expr> {
        if let Some(expr) = self.cast_call(call, &arguments, position)? {
            return Ok(expr);
        }
        let resolved = self.resolve_call(call, arguments, false, position)?;
        self.no_aggregate_syntax(call, position)?;
        match resolved.target {
            Target::Function(function) => self.function_expr(function, resolved.arguments, resolved.ty),
            Target::Routine(ref routine) if routine.returns.set => Err(self.refuse(
                "a set-returning function in an expression",
                &call.name.name,
                Some("call it in FROM"),
                position,
            )),
            Target::Routine(routine) => self.routine_call(&routine, resolved.arguments, position),
            Target::Set(function) => self.set_in_select_list(function, resolved, position),
            Target::Aggregate(_) | Target::Window(_) => Err(self.no_function(call, &[], position)),
        }
    }

    /// A call of a built-in function with typed arguments.
    pub fn function(&mut self, name: &str, arguments: Vec<Expr>) -> Result<Expr> {
        let call = written(name, &arguments);
        let resolved = self.resolve_call(&call, arguments, false, 0)?;
        match resolved.target {
            Target::Function(function) => self.function_expr(function, resolved.arguments, resolved.ty),
            _ => Err(self.no_function(&call, &[], 0)),
        }
    }

    /// A call of a built-in aggregate with a typed argument; without one `count(*)`.
    pub fn aggregate(&mut self, name: &str, argument: Option<Expr>) -> Result<Expr> {
        let arguments: Vec<Expr> = argument.into_iter().collect();
        let mut call = written(name, &arguments);
        call.star = arguments.is_empty();
        let resolved = self.resolve_call(&call, arguments, true, 0)?;
        let Target::Aggregate(function) = resolved.target else {
            return Err(self.no_function(&call, &[], 0));
        };
        let aggregate = Aggregate {
            function,
            arguments: resolved.arguments,
            distinct: false,
            order: Vec::new(),
            filter: None,
        };
        Ok(Expr::new(ExprKind::Aggregate(Box::new(aggregate)), resolved.ty))
    }

    /// The node for a table's function. Some overloads are another one with something done to the arguments or result,
    /// as PostgreSQL defines them.
    fn function_expr(&self, function: &'static FunctionEntry, arguments: Vec<Expr>, ty: Type) -> Result<Expr> {
        let overload = |fits: &dyn Fn(&FunctionEntry) -> bool| {
            functions::overloads(function.name)
                .iter()
                .copied()
                .find(|entry| fits(entry))
                .unwrap_or(function)
        };
        let mut arguments = arguments;
        match (function.name, function.arguments) {
            // From the start of today.
            ("age", [only]) => {
                let only = *only;
                let wanted = only.concrete().unwrap_or(Type::Timestamptz);
                let today = Expr::new(ExprKind::Context(ContextValue::CurrentDate), Type::Date);
                let today = coerce::cast(self.catalog, today, &wanted, TypeModifier::None, CastContext::Implicit)?;
                arguments.insert(0, today);
                let function = overload(&|entry| entry.arguments == [only, only]);
                Ok(Expr::new(ExprKind::Function { function, arguments }, ty))
            }
            ("quote_literal" | "quote_nullable", [Arg::AnyElement]) => {
                let cast = |expr| {
                    coerce::cast(
                        self.catalog,
                        expr,
                        &Type::Text,
                        TypeModifier::None,
                        CastContext::Explicit,
                    )
                };
                let arguments = arguments.into_iter().map(cast).collect::<Result<_>>()?;
                let function = overload(&|entry| entry.arguments == [Arg::Text]);
                Ok(Expr::new(ExprKind::Function { function, arguments }, ty))
            }
            _ => Ok(Expr::new(ExprKind::Function { function, arguments }, ty)),
        }
    }

    /// Types the arguments of a call. `f(t.*)` is the row `t`.
    pub fn arguments(&mut self, call: &FunctionCall) -> Result<Vec<Expr>> {
        call.arguments
            .iter()
            .map(|argument| self.expr(&argument.value))
            .collect()
    }

    fn no_aggregate_syntax(&self, call: &FunctionCall, position: u32) -> Result<()> {
        let name = &call.name;
        let complaint = if call.star {
            format!("{name}(*) specified, but {name} is not an aggregate function")
        } else if call.distinct {
            format!("DISTINCT specified, but {name} is not an aggregate function")
        } else if !call.order.is_empty() {
            format!("ORDER BY specified, but {name} is not an aggregate function")
        } else if call.filter.is_some() {
            format!("FILTER specified, but {name} is not an aggregate function")
        } else {
            return Ok(());
        };
        Err(place(DatabaseError::new("42809", complaint), position))
    }

    /// `int8(x)`, `date(x)`: a type's name called with one argument is a cast, unless a function has that name.
    fn cast_call(&mut self, call: &FunctionCall, arguments: &[Expr], position: u32) -> Result<Option<Expr>> {
        let [argument] = arguments else { return Ok(None) };
        if !is_builtin(&call.name) || !functions::overloads(&call.name.name).is_empty() {
            return Ok(None);
        }
        let Some(ty) = Type::from_builtin_name(&call.name.name).filter(|ty| ty.internal_name() == *call.name.name)
        else {
            return Ok(None);
        };
        let is_row = matches!(argument.ty.base(), Type::Record | Type::Composite(_));
        if is_row || argument.ty != Type::Unknown && pathway(&argument.ty, &ty, CastContext::Explicit).is_none() {
            return Ok(None);
        }
        self.note_parameter(argument, &ty);
        coerce::cast(
            self.catalog,
            argument.clone(),
            &ty,
            TypeModifier::None,
            CastContext::Explicit,
        )
        .map(|expr| Some(expr.at(position)))
    }

    /// Chooses the target of a call and casts its arguments.
    ///
    /// Errors: 42883 `function f(integer) does not exist`, 42725 `function f(unknown) is not unique`, 0A000.
    pub fn resolve_call(
        &mut self,
        call: &FunctionCall,
        arguments: Vec<Expr>,
        with_aggregates: bool,
        position: u32,
    ) -> Result<Resolved> {
        let names: Vec<Option<&Ident>> = call.arguments.iter().map(|argument| argument.name.as_ref()).collect();
        let mut after_named = names.iter().skip_while(|name| name.is_none());
        if let Some(at) = after_named.position(|name| name.is_none()) {
            let first = names.iter().take_while(|name| name.is_none()).count();
            let position = call
                .arguments
                .get(first + at)
                .map_or(position, |argument| argument.value.position);
            let error = DatabaseError::new("42601", "positional argument cannot follow named argument");
            return Err(place(error, position));
        }
        for (at, name) in names.iter().enumerate() {
            if let Some(name) = name.filter(|_| names[..at].contains(name)) {
                let position = call.arguments[at].value.position;
                let message = format!("argument name \"{name}\" used more than once");
                return Err(place(DatabaseError::new("42601", message), position));
            }
        }
        let mut candidates: Vec<Candidate> = Vec::new();
        for target in self.targets(&call.name, with_aggregates) {
            if call.variadic && !matches!(&target, Target::Routine(_)) {
                return Err(self.refuse("VARIADIC", &call.name.name, Some("list the arguments"), position));
            }
            let Some(candidate) = arrange(target, &names, call.variadic) else {
                continue;
            };
            match candidates.iter_mut().find(|known| known.slots == candidate.slots) {
                Some(known) => known.meet(candidate),
                None => candidates.push(candidate),
            }
        }
        let inputs: Vec<Type> = arguments.iter().map(|argument| argument.ty.clone()).collect();
        let slots: Vec<Vec<Slot>> = candidates.iter().map(|candidate| candidate.slots.clone()).collect();
        let chosen = match choose(&slots, &inputs) {
            Choice::One(at) if !candidates[at].is_ambiguous => candidates.swap_remove(at),
            Choice::None => return Err(self.no_function(call, &inputs, position)),
            Choice::One(_) | Choice::Ambiguous => {
                let message = format!("function {} is not unique", signature(call, &inputs));
                let hint = "Could not choose a best candidate function. You might need to add explicit type casts.";
                return Err(place(DatabaseError::new("42725", message).hint(hint), position));
            }
        };
        let bindings = Bindings::of(&chosen.slots, &arguments)?;
        for (slot, argument) in chosen.slots.iter().zip(&arguments) {
            if let Some(ty) = bindings.slot(slot) {
                self.note_parameter(argument, &ty);
            }
        }
        let arguments = coerce_arguments(self.catalog, &chosen.slots, arguments, &bindings)?;
        let ty = match &chosen.target {
            Target::Function(entry) => bindings.argument(entry.result),
            Target::Aggregate(entry) => bindings.argument(entry.result),
            Target::Window(entry) => bindings.argument(entry.result),
            Target::Set(entry) => entry.columns.first().and_then(|(_, ty)| bindings.argument(*ty)),
            Target::Routine(routine) => Some(routine.returns.ty.clone()),
        };
        let arguments = self.fill_defaults(&chosen, arguments)?;
        Ok(Resolved {
            target: chosen.target,
            arguments,
            ty: ty.unwrap_or(Type::Text),
        })
    }

    /// Everything that a name may call, in the order of the search path.
    fn targets(&self, name: &ObjectName, with_aggregates: bool) -> Vec<Target> {
        let mut found: Vec<Target> = Vec::new();
        if is_builtin(name) {
            found.extend(
                functions::overloads(&name.name)
                    .iter()
                    .map(|entry| Target::Function(entry)),
            );
            found.extend(functions::set_overloads(&name.name).map(Target::Set));
            if with_aggregates {
                found.extend(aggregates::aggregates(&name.name).map(Target::Aggregate));
                found.extend(aggregates::windows(&name.name).map(Target::Window));
            }
        }
        let schemas: Vec<&Ident> = match &name.schema {
            Some(schema) => vec![schema],
            None => self.search_path.iter().collect(),
        };
        for schema in schemas {
            let full = QualifiedName::new(schema.clone(), name.name.clone());
            let routines = self.catalog.routines.get(&full).map(Vec::as_slice).unwrap_or_default();
            found.extend(
                routines
                    .iter()
                    .filter(|routine| !routine.is_procedure)
                    .cloned()
                    .map(Target::Routine),
            );
        }
        found
    }

    /// True if something of that name returns a set.
    pub(super) fn may_give_set(&self, name: &ObjectName) -> bool {
        self.targets(name, false).iter().any(|target| match target {
            Target::Set(_) => true,
            Target::Routine(routine) => routine.returns.set,
            _ => false,
        })
    }

    fn fill_defaults(&mut self, chosen: &Candidate, arguments: Vec<Expr>) -> Result<Vec<Expr>> {
        let mut arguments = arguments;
        if let (Some(from), Target::Routine(routine)) = (chosen.elements_from, &chosen.target) {
            let elements = arguments.split_off(from);
            let ty = routine.arguments.last().map_or(Type::Text, |last| last.ty.clone());
            arguments.push(Expr::new(ExprKind::Array(elements), ty));
        }
        let mut given: Vec<Option<Expr>> = arguments.into_iter().map(Some).collect();
        let mut done = Vec::with_capacity(chosen.order.len());
        for (at, argument) in chosen.order.iter().enumerate() {
            match argument.and_then(|argument| given.get_mut(argument).and_then(Option::take)) {
                Some(expr) => done.push(expr),
                None => done.push(self.default_argument(&chosen.target, at)?),
            }
        }
        Ok(done)
    }

    fn default_argument(&mut self, target: &Target, at: usize) -> Result<Expr> {
        let (text, ty) = match target {
            Target::Function(entry) => {
                let first = entry.arguments.len() - entry.defaults.len();
                (
                    entry.defaults.get(at - first).map(|text| (*text).to_owned()),
                    entry.arguments[at].concrete(),
                )
            }
            Target::Routine(routine) => (
                routine.arguments[at].default.clone(),
                Some(routine.arguments[at].ty.clone()),
            ),
            _ => (None, None),
        };
        let (Some(text), Some(ty)) = (text, ty) else {
            return Err(DatabaseError::new("XX000", "a default argument is missing"));
        };
        let written = parse::expression(&text)?;
        let barrier = super::scope::Level {
            barrier: true,
            ..Default::default()
        };
        let expr = self.nested(barrier, |state| state.expr(&written))?;
        coerce::cast(self.catalog, expr, &ty, TypeModifier::None, CastContext::Assignment)
    }

    /// The error for a call that means nothing: refused by name where PostgreSQL knows the function.
    pub fn no_function(&self, call: &FunctionCall, inputs: &[Type], position: u32) -> DatabaseError {
        let name: &str = &call.name.name;
        let in_reach = is_builtin(&call.name) || call.name.schema.as_ref().is_some_and(|s| *s == *"extensions");
        let instead = functions::REFUSED.iter().find(|(refused, _)| *refused == name);
        let is_left_out = instead.is_some()
            || functions::is_server_function(name) && self.targets(&call.name, true).is_empty()
            || functions::server_overloads(name).any(|overload| fits(&overload, inputs))
            || inputs.len() == 1 && server::has_type(name)
            || server::is_type_function(name);
        if in_reach && is_left_out {
            let instead = instead
                .and_then(|(_, instead)| *instead)
                .map(|instead| format!("use {instead}"));
            return self.refuse(&format!("function {name}"), "", instead.as_deref(), position);
        }
        if let Some(schema) = call.name.schema.as_ref().filter(|_| !in_reach)
            && !self.catalog.schemas.contains_key(schema)
        {
            if crate::system::is_kept_schema(schema) {
                return self.refuse("functions of a system schema", &call.name.to_string(), None, position);
            }
            let message = format!("schema \"{schema}\" does not exist");
            return place(DatabaseError::new("3F000", message), position);
        }
        let takes_row = |target: &Target| match target {
            Target::Routine(routine) => routine
                .arguments
                .iter()
                .any(|argument| matches!(argument.ty, Type::Composite(_))),
            _ => false,
        };
        if inputs.contains(&Type::Record) && self.targets(&call.name, true).iter().any(takes_row) {
            let instead = Some("a row of the table");
            return self.refuse("a row without a type as an argument", "", instead, position);
        }
        let message = format!("function {} does not exist", signature(call, inputs));
        let hint = "No function matches the given name and argument types. You might need to add explicit type casts.";
        place(DatabaseError::new("42883", message).hint(hint), position)
    }

    /// A function in FROM, with the columns it gives.
    pub fn table_function(&mut self, call: &FunctionCall) -> Result<(TableFunction, Vec<OutputColumn>)> {
        let position = call.name.position;
        let special = self.special_call(call, position)?;
        if let Some(expr) = special {
            let column = output(&call.name.name, &expr.ty);
            return Ok((TableFunction::Scalar(Box::new(expr)), vec![column]));
        }
        if is_builtin(&call.name) && aggregates::aggregates(&call.name.name).next().is_some() {
            let error = DatabaseError::new("42803", "aggregate functions are not allowed in functions in FROM");
            return Err(place(error, position));
        }
        self.no_aggregate_syntax(call, position)?;
        let arguments = self.arguments(call)?;
        let resolved = self.resolve_call(call, arguments, false, position)?;
        match resolved.target {
            Target::Set(function) => {
                let columns = function
                    .columns
                    .iter()
                    .map(|(name, ty)| output(name, &ty.concrete().unwrap_or_else(|| resolved.ty.clone())))
                    .collect();
                Ok((
                    TableFunction::Set {
                        function,
                        arguments: resolved.arguments,
                    },
                    columns,
                ))
            }
            Target::Routine(routine)
                if routine.returns.set || !routine.returns.columns.is_empty() || routine.returns.relation.is_some() =>
            {
                self.routine_rows(&routine, resolved.arguments, position)
            }
            Target::Routine(routine) => {
                let expr = self.routine_call(&routine, resolved.arguments, position)?;
                let column = output(&routine.name.name, &expr.ty);
                Ok((TableFunction::Scalar(Box::new(expr)), vec![column]))
            }
            Target::Function(function) => {
                let expr = self.function_expr(function, resolved.arguments, resolved.ty)?;
                let column = output(function.name, &expr.ty);
                Ok((TableFunction::Scalar(Box::new(expr)), vec![column]))
            }
            Target::Aggregate(_) | Target::Window(_) => Err(self.no_function(call, &[], position)),
        }
    }
}

/// A call as it would be written, its arguments aside.
fn written(name: &str, arguments: &[Expr]) -> FunctionCall {
    FunctionCall {
        name: ObjectName {
            schema: None,
            name: Ident::new(name),
            position: 0,
        },
        arguments: arguments
            .iter()
            .map(|_| Argument {
                name: None,
                value: Written {
                    kind: WrittenKind::Null,
                    position: 0,
                },
            })
            .collect(),
        star: false,
        distinct: false,
        variadic: false,
        order: Vec::new(),
        within_group: false,
        filter: None,
        over: None,
        sql_syntax: false,
    }
}

fn output(name: &str, ty: &Type) -> OutputColumn {
    OutputColumn {
        name: Ident::new(name),
        ty: ty.clone(),
        modifier: TypeModifier::None,
        source: None,
    }
}

/// True if the name may be one of PostgreSQL's own functions.
pub fn is_builtin(name: &ObjectName) -> bool {
    match &name.schema {
        None => true,
        Some(schema) if *schema == *"pg_catalog" => true,
        Some(schema) if *schema == *"extensions" => functions::EXTENSION_FUNCTIONS
            .iter()
            .any(|(_, functions)| functions.contains(&&*name.name)),
        Some(_) => false,
    }
}

/// `f(integer, name => text)` as messages spell a call.
fn signature(call: &FunctionCall, inputs: &[Type]) -> String {
    let arguments: Vec<String> = call
        .arguments
        .iter()
        .zip(inputs)
        .map(|(argument, ty)| match &argument.name {
            Some(name) => format!("{name} => {ty}"),
            None => ty.to_string(),
        })
        .collect();
    format!("{}({})", call.name, arguments.join(", "))
}

/// Fits a target to a call's arguments; `None` if it cannot take them.
fn arrange(target: Target, names: &[Option<&Ident>], whole_array: bool) -> Option<Candidate> {
    let count = names.len();
    if let Target::Routine(routine) = &target
        && let Some(last) = routine.arguments.last().filter(|last| last.variadic && !whole_array)
        && (count >= routine.arguments.len() || names.iter().any(Option::is_some))
    {
        let declared = routine.arguments.len();
        let Type::Array(element) = &last.ty else { return None };
        if names.iter().any(Option::is_some) {
            return None;
        }
        let mut slots: Vec<Slot> = routine.arguments[..declared - 1]
            .iter()
            .map(|argument| Slot::Exact(argument.ty.clone()))
            .collect();
        slots.resize(count, Slot::Exact((**element).clone()));
        return Some(Candidate {
            slots,
            order: (0..declared).map(Some).collect(),
            elements_from: Some(declared - 1),
            is_ambiguous: false,
            target,
        });
    }
    let (declared, variadic, defaults, known): (Vec<Slot>, bool, Vec<bool>, Vec<Ident>) = match &target {
        Target::Function(entry) => {
            let total = entry.arguments.len();
            (
                entry.arguments.iter().map(|argument| Slot::of(*argument)).collect(),
                entry.variadic,
                (0..total).map(|at| at + entry.defaults.len() >= total).collect(),
                entry.names.iter().map(Ident::new).collect(),
            )
        }
        Target::Set(entry) => plain(entry.arguments),
        Target::Aggregate(entry) => plain(entry.arguments),
        Target::Window(entry) => plain(entry.arguments),
        Target::Routine(routine) => (
            routine
                .arguments
                .iter()
                .map(|argument| Slot::Exact(argument.ty.clone()))
                .collect(),
            false,
            routine
                .arguments
                .iter()
                .map(|argument| argument.default.is_some())
                .collect(),
            routine.arguments.iter().map(|argument| argument.name.clone()).collect(),
        ),
    };
    if variadic {
        if count < declared.len() || names.iter().any(Option::is_some) {
            return None;
        }
        let last = declared.last()?.clone();
        let slots = (0..count).map(|at| declared.get(at).unwrap_or(&last).clone()).collect();
        return Some(Candidate {
            target,
            slots,
            order: (0..count).map(Some).collect(),
            elements_from: None,
            is_ambiguous: false,
        });
    }
    if count > declared.len() {
        return None;
    }
    let mut order: Vec<Option<usize>> = vec![None; declared.len()];
    for (at, name) in names.iter().enumerate() {
        let place = match name {
            None => at,
            Some(name) => known.iter().position(|known| known == *name)?,
        };
        if order.get(place)?.is_some() {
            return None;
        }
        order[place] = Some(at);
    }
    if order
        .iter()
        .zip(&defaults)
        .any(|(argument, default)| argument.is_none() && !default)
    {
        return None;
    }
    let mut slots: Vec<Option<Slot>> = vec![None; count];
    for (slot, argument) in declared.into_iter().zip(&order) {
        if let Some(argument) = argument {
            slots[*argument] = Some(slot);
        }
    }
    Some(Candidate {
        target,
        slots: slots.into_iter().collect::<Option<_>>()?,
        order,
        elements_from: None,
        is_ambiguous: false,
    })
}

/// True if one of PostgreSQL's own overloads would take these arguments.
fn fits(overload: &[Option<ServerArgument>], inputs: &[Type]) -> bool {
    overload.len() == inputs.len()
        && !inputs.is_empty()
        && overload.iter().zip(inputs).all(|(argument, input)| match argument {
            None => *input == Type::Unknown,
            Some(ServerArgument::Type(ty)) => is_implicit(input, ty),
            Some(ServerArgument::AnyElement) => true,
            Some(ServerArgument::AnyArray) => matches!(input.base(), Type::Array(_)),
            Some(ServerArgument::AnyEnum) => matches!(input.base(), Type::Enum(_)),
        })
}

fn plain(arguments: &[Arg]) -> (Vec<Slot>, bool, Vec<bool>, Vec<Ident>) {
    let slots: Vec<Slot> = arguments.iter().map(|argument| Slot::of(*argument)).collect();
    let defaults = vec![false; slots.len()];
    (slots, false, defaults, Vec::new())
}
