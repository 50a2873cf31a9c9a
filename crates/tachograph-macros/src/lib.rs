//! `#[tachograph::main]`: an async main function on a traced Tokio runtime.
//!
//! Reads the function token by token, without a parser of the language: it needs to know the `async` and the body only, and costs a
//! program no build time.
#![forbid(unsafe_code)]

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};

/// Runs an `async fn main` as a traced task on an instrumented runtime, in place of `#[tokio::main]`.
///
/// | argument | meaning | if it is missing |
/// |---|---|---|
/// | `flavor = "current_thread"` | the runtime, as `#[tokio::main]` has it | `"multi_thread"` |
/// | `worker_threads = 4` | workers, of `"multi_thread"` only | one for each processor |
/// | `record = "app.trace"` | records the whole run into this file and prints what was recorded to stderr | nothing is recorded |
/// | `sample_hz = 99` | CPU samples per second, with `record`; 0 for none | 99 |
/// | `crate = "tachograph"` | what the facade is called here | `"tachograph"` |
///
/// With `record`, the variable `TACHOGRAPH_TRACE` in the environment names another file.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    match Options::read(args).and_then(|options| expand(options, item)) {
        Ok(expanded) => expanded,
        // With a main function, so that its absence is no error of its own.
        Err(wrong) => {
            let mut report = wrong.report();
            report.extend("fn main() {}".parse::<TokenStream>());
            report
        }
    }
}

struct Wrong {
    text: String,
    span: Span,
}

impl Wrong {
    fn new(text: impl Into<String>, span: Span) -> Self {
        let text = text.into();
        Self { text, span }
    }

    /// `compile_error! { "text" }` at the place.
    fn report(self) -> TokenStream {
        let mut text = Literal::string(&format!("tachograph::main: {}", self.text));
        text.set_span(self.span);
        let mut body = Group::new(Delimiter::Brace, TokenTree::from(text).into());
        body.set_span(self.span);
        [
            TokenTree::from(Ident::new("compile_error", self.span)),
            Punct::new('!', Spacing::Alone).into(),
            body.into(),
        ]
        .into_iter()
        .collect()
    }
}

/// What the attribute says, as the expression that builds it.
#[derive(Debug)]
struct Options {
    facade: String,
    calls: String,
    current_thread: bool,
    /// Which arguments there are.
    given: Vec<String>,
}

impl Options {
    fn new() -> Self {
        Self {
            facade: "tachograph".to_owned(),
            calls: String::new(),
            current_thread: false,
            given: Vec::new(),
        }
    }

    fn read(args: TokenStream) -> Result<Self, Wrong> {
        let mut options = Self::new();
        let mut tokens = args.into_iter();
        while let Some(key) = tokens.next() {
            let span = key.span();
            let (equals, value) = (tokens.next(), tokens.next());
            match (&equals, value) {
                (Some(TokenTree::Punct(equals)), Some(TokenTree::Literal(value)))
                    if equals.as_char() == '=' =>
                {
                    let set = options.set(&key.to_string(), &value.to_string());
                    set.map_err(|text| Wrong::new(text, span))?;
                }
                _ => {
                    let wanted = format!("wanted `{key} =` and a number or a text in quotes");
                    return Err(Wrong::new(wanted, span));
                }
            }
            match tokens.next() {
                None => break,
                Some(TokenTree::Punct(comma)) if comma.as_char() == ',' => {}
                Some(other) => return Err(Wrong::new("wanted a comma", other.span())),
            }
        }
        let checked = options.check();
        checked.map_err(|text| Wrong::new(text, Span::call_site()))?;
        Ok(options)
    }

    fn has(&self, key: &str) -> bool {
        self.given.iter().any(|given| given == key)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        if self.has(key) {
            return Err(format!("`{key}` is there twice"));
        }
        self.given.push(key.to_owned());
        match (key, value) {
            ("flavor", "\"multi_thread\"") => {}
            ("flavor", "\"current_thread\"") => {
                self.current_thread = true;
                self.calls.push_str(".current_thread()");
            }
            ("flavor", _) => {
                return Err("`flavor` is \"multi_thread\" or \"current_thread\"".to_owned());
            }
            ("worker_threads", "0") => return Err("`worker_threads` is 1 or more".to_owned()),
            ("worker_threads" | "sample_hz", number) if !is_text(number) => {
                self.calls.push_str(&format!(".{key}({number})"));
            }
            ("record", path) if is_text(path) => self.calls.push_str(&format!(".record({path})")),
            ("crate", name) if name.starts_with('"') => {
                self.facade = name.trim_matches('"').to_owned();
            }
            ("worker_threads" | "sample_hz", _) => {
                return Err(format!("`{key}` is a number, not {value}"));
            }
            ("record" | "crate", _) => {
                return Err(format!("`{key}` is a text in quotes, not {value}"));
            }
            _ => {
                let known = "flavor, worker_threads, record, sample_hz, crate";
                return Err(format!("no `{key}`; there are: {known}"));
            }
        }
        Ok(())
    }

    /// What is wrong with all of it, as for `#[tokio::main]`.
    fn check(&self) -> Result<(), String> {
        if self.current_thread && self.has("worker_threads") {
            return Err("`worker_threads` wants the flavor \"multi_thread\"".to_owned());
        }
        if self.has("sample_hz") && !self.has("record") {
            return Err("`sample_hz` wants `record`".to_owned());
        }
        Ok(())
    }
}

/// Whether a literal is a string, raw or not.
fn is_text(literal: &str) -> bool {
    let raw = literal.strip_prefix('r').unwrap_or(literal);
    raw.trim_start_matches('#').starts_with('"')
}

fn expand(options: Options, item: TokenStream) -> Result<TokenStream, Wrong> {
    let mut tokens: Vec<TokenTree> = item.into_iter().collect();
    let is_word = |token: &TokenTree, word: &str| matches!(token, TokenTree::Ident(ident) if ident.to_string() == word);
    let end = tokens.last().map_or_else(Span::call_site, TokenTree::span);
    let body = match tokens.pop() {
        Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => body,
        _ => return Err(Wrong::new("wanted a function with a body", end)),
    };
    let function = tokens.iter().position(|token| is_word(token, "fn"));
    let before = function.ok_or_else(|| Wrong::new("wanted a function", end))?;
    let is_async = tokens[..before]
        .iter()
        .position(|token| is_word(token, "async"));
    let is_async =
        is_async.ok_or_else(|| Wrong::new("wanted an `async fn`", tokens[before].span()))?;
    tokens.remove(is_async);

    let run = format!(
        "::{}::tokio::Main::new(){}.run",
        options.facade, options.calls
    );
    let run: TokenStream = run
        .parse()
        .map_err(|_| Wrong::new("can't be read", Span::call_site()))?;
    let mut future = TokenStream::from(TokenTree::from(Ident::new("async", body.span())));
    future.extend([TokenTree::from(body)]);
    let mut call = run;
    call.extend([TokenTree::from(Group::new(Delimiter::Parenthesis, future))]);
    tokens.push(Group::new(Delimiter::Brace, call).into());
    Ok(tokens.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[(&str, &str)]) -> Result<Options, String> {
        let mut options = Options::new();
        for (key, value) in arguments {
            options.set(key, value)?;
        }
        options.check()?;
        Ok(options)
    }

    #[test]
    fn workers_are_of_a_runtime_that_has_them() {
        let (one, many) = ("\"current_thread\"", "\"multi_thread\"");
        let workers = ("worker_threads", "4");
        assert!(options(&[workers]).is_ok());
        assert!(options(&[("flavor", many), workers]).is_ok());
        assert!(options(&[("flavor", one)]).is_ok());
        assert!(options(&[("flavor", one), workers]).is_err());
        assert!(options(&[workers, ("flavor", one)]).is_err());
    }

    #[test]
    fn what_would_do_nothing_is_an_error() {
        let record = ("record", "\"a.trace\"");
        assert!(options(&[("sample_hz", "99"), record]).is_ok());
        assert!(options(&[("sample_hz", "99")]).is_err());
        assert!(options(&[record, record]).is_err());
        assert!(options(&[("worker_threads", "0")]).is_err());
    }

    #[test]
    fn a_path_is_any_string() {
        for path in ["\"a.trace\"", "r\"a.trace\"", "r##\"a.trace\"##"] {
            let calls = options(&[("record", path)]).map(|options| options.calls);
            assert_eq!(calls, Ok(format!(".record({path})")));
        }
        for path in ["1", "b\"a.trace\"", "br\"a.trace\"", "c\"a.trace\"", "'r'"] {
            assert!(options(&[("record", path)]).is_err(), "{path}");
        }
    }
}
