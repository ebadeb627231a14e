//! `matches` with a pattern that stands in the rule: it is compiled with the rule, and not on every write.
//!
//! The `cel` crate compiles it anew on each call, which took most of the time that a write took.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};
use cel::common::types::{CelBool, CelString};
use cel::parser::{Macro, MacroExprHelper, ParseError};
use cel::{DeclarationError, Env, ExecutionError};
use regex::Regex;

/// What `matches` is made into. No rule can call it by itself: it is no identifier.
const CALLED: &str = "@matches";

/// Every pattern of every rule: as many as our definitions have.
static PATTERNS: RwLock<Option<HashMap<String, Regex>>> = RwLock::new(None);

/// Adds it to the language, in place of the crate's own.
pub(super) fn declare(language: &mut Env) -> Result<(), DeclarationError> {
    language.add_macro(Macro::receiver("matches", 1, expand))?;
    cel::add_member_overload!(
        language,
        fn is_match: (CelString, CelString) -> Result<CelBool>,
        name = CALLED
    )
}

/// Compiles the pattern, and makes the call one that finds it so.
fn expand(
    helper: &mut MacroExprHelper<'_>,
    target: &mut Option<IdedExpr>,
    arguments: &mut Vec<IdedExpr>,
) -> Result<Option<IdedExpr>, ParseError> {
    let (Some(target), Some(pattern)) = (target.take(), arguments.pop()) else {
        return Ok(None);
    };
    let Expr::Literal(LiteralValue::String(text)) = &pattern.expr else {
        let why = "what `matches` looks for has to be a text in the rule";
        return Err(helper.new_error(pattern.id, why));
    };
    keep(text.inner()).map_err(|error| helper.new_error(pattern.id, error.to_string()))?;
    Ok(Some(helper.next_expr(Expr::Call(CallExpr {
        func_name: CALLED.to_owned(),
        target: Some(Box::new(target)),
        args: vec![pattern],
    }))))
}

fn keep(pattern: &str) -> Result<(), regex::Error> {
    let regex = Regex::new(pattern)?;
    let mut patterns = PATTERNS.write().unwrap_or_else(PoisonError::into_inner);
    patterns
        .get_or_insert_default()
        .insert(pattern.to_owned(), regex);
    Ok(())
}

fn is_match(text: &CelString<'_>, pattern: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    let patterns = PATTERNS.read().unwrap_or_else(PoisonError::into_inner);
    let regex = patterns.as_ref().and_then(|all| all.get(pattern.inner()));
    let regex = regex.ok_or_else(|| ExecutionError::FunctionError {
        function: "matches".to_owned(),
        message: format!("{:?} was not compiled with its rule", pattern.inner()),
    })?;
    Ok(CelBool::from(regex.is_match(text.inner())))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cel::{Context, Value};

    use crate::standalone::rules::LANGUAGE;

    #[test]
    fn a_pattern_is_looked_for_anywhere_in_the_text() {
        let rows = [
            ("'/dev/../x'.matches('/[.][.](/|$)')", true),
            ("'/dev/..x'.matches('/[.][.](/|$)')", false),
            ("'abc'.matches('b')", true),
            ("'abc'.matches('^b$')", false),
            ("'abc'.matches('^b$') || 'b'.matches('^b$')", true),
            ("['a', 'x'].exists(x, x.matches('^[a-c]$'))", true),
            ("''.matches('')", true),
            ("'a\\nb'.matches('^a$')", false),
        ];
        for (rule, expected) in rows {
            let program = LANGUAGE.compile(rule).unwrap();
            let context = Context::with_env(Arc::clone(&LANGUAGE));
            assert_eq!(
                program.execute(&context),
                Ok(Value::Bool(expected)),
                "{rule}"
            );
        }
        let program = LANGUAGE.compile("1.matches('a')").unwrap();
        let context = Context::with_env(Arc::clone(&LANGUAGE));
        program.execute(&context).unwrap_err();
    }

    #[test]
    fn a_pattern_that_could_not_be_kept_is_refused_with_its_rule() {
        for rule in [
            "self.a.matches(self.b)",
            "self.a.matches('(')",
            "self.a.matches(1)",
        ] {
            assert!(LANGUAGE.compile(rule).is_err(), "{rule}");
        }
    }
}
