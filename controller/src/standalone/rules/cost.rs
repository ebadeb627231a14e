//! What a rule looks at and how much work it can be, told from its text.

use cel::common::ast::{EntryExpr, Expr, IdedExpr};

use super::Needs;

/// Loops within loops within loops are refused.
const DEEPEST_NESTING: u32 = 2;

/// Functions that mean here what they mean in a real server. `text.matches(…)` is another by now (`matching`).
const FUNCTIONS: [&str; 10] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "int",
    "double",
    "string",
    "bool",
    "dyn",
    "type",
];

/// What a rule turned out to be.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) is_transition: bool,
    pub(super) needs: Needs,
    pub(super) nesting: u32,
}

/// Why a rule isn't evaluated.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the function {0:?} is not supported")]
    Function(String),
    #[error("{0:?} is not declared")]
    Variable(String),
    #[error("loops are nested deeper than {DEEPEST_NESTING}")]
    Nesting,
    #[error("a message can't be made in a rule")]
    Construct,
}

/// Looks a rule through.
pub(super) fn survey(expression: &IdedExpr) -> Result<Found, Refusal> {
    let mut survey = Survey {
        found: Found::default(),
        bound: Vec::new(),
        depth: 0,
    };
    survey.walk(expression)?;
    Ok(survey.found)
}

struct Survey {
    found: Found,
    /// Variables of the loops around.
    bound: Vec<String>,
    depth: u32,
}

impl Survey {
    fn walk(&mut self, expression: &IdedExpr) -> Result<(), Refusal> {
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.ident(name, &[]),
            Expr::Select(_) => self.select(expression),
            Expr::List(list) => list.elements.iter().try_for_each(|e| self.walk(e)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.walk(&entry.key).and_then(|()| self.walk(&entry.value))
                }
                EntryExpr::StructField(_) => Err(Refusal::Construct),
            }),
            Expr::Struct(_) => Err(Refusal::Construct),
            Expr::Call(call) => {
                // Operators have names that no identifier can have, e.g. `_&&_` and `!_`.
                let name = call.func_name.as_str();
                let is_function = name.starts_with(|c: char| c.is_ascii_alphabetic());
                if is_function && !FUNCTIONS.contains(&name) {
                    return Err(Refusal::Function(name.to_owned()));
                }
                call.target.iter().try_for_each(|e| self.walk(e))?;
                call.args.iter().try_for_each(|e| self.walk(e))
            }
            Expr::Comprehension(loops) => {
                self.walk(&loops.iter_range)?;
                self.walk(&loops.accu_init)?;
                let before = self.bound.len();
                self.bound.push(loops.iter_var.clone());
                self.bound.extend(loops.iter_var2.clone());
                self.bound.push(loops.accu_var.clone());
                self.depth += 1;
                self.found.nesting = self.found.nesting.max(self.depth);
                if self.depth > DEEPEST_NESTING {
                    return Err(Refusal::Nesting);
                }
                self.walk(&loops.loop_cond)?;
                self.walk(&loops.loop_step)?;
                self.depth -= 1;
                self.walk(&loops.result)?;
                self.bound.truncate(before);
                Ok(())
            }
        }
    }

    /// A chain of fields. Below `self` and `oldSelf` it says what is needed of them.
    fn select(&mut self, expression: &IdedExpr) -> Result<(), Refusal> {
        let mut fields = Vec::new();
        let mut at = expression;
        while let Expr::Select(select) = &at.expr {
            fields.push(select.field.as_str());
            at = &select.operand;
        }
        fields.reverse();
        match &at.expr {
            Expr::Ident(name) => self.ident(name, &fields),
            _ => self.walk(at),
        }
    }

    fn ident(&mut self, name: &str, fields: &[&str]) -> Result<(), Refusal> {
        if self.bound.iter().any(|b| b == name) {
            return Ok(());
        }
        match name {
            "self" => {}
            "oldSelf" => self.found.is_transition = true,
            other => return Err(Refusal::Variable(other.to_owned())),
        }
        let mut needs = &mut self.found.needs;
        for field in fields {
            needs = needs.fields.entry((*field).to_owned()).or_default();
        }
        needs.all = true;
        Ok(())
    }
}
