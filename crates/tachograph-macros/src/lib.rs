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
/// | `worker_threads = 4` | workers | one for each processor |
/// | `record = "app.trace"` | records the whole run into this file and prints what was recorded to stderr | nothing is recorded |
/// | `sample_hz = 99` | CPU samples per second, with `record`; 0 for none | 99 |
/// | `crate = "tachograph"` | what the facade is called here | `"tachograph"` |
///
/// With `record`, the variable `TACHOGRAPH_TRACE` in the environment names another file.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    match Options::read(args).and_then(|options| expand(options, item)) {
        Ok(expanded) => expanded,
        Err(wrong) => wrong.report(),
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
struct Options {
    facade: String,
    calls: String,
}

impl Options {
    fn read(args: TokenStream) -> Result<Self, Wrong> {
        let mut options = Self {
            facade: "tachograph".to_owned(),
            calls: String::new(),
        };
        let mut tokens = args.into_iter();
        while let Some(key) = tokens.next() {
            let span = key.span();
            let (equals, value) = (tokens.next(), tokens.next());
            match (&equals, value) {
                (Some(TokenTree::Punct(equals)), Some(TokenTree::Literal(value)))
                    if equals.as_char() == '=' =>
                {
                    options.set(&key.to_string(), &value.to_string(), span)?;
                }
                _ => return Err(Wrong::new(format!("wanted `{key} = value`"), span)),
            }
            match tokens.next() {
                None => break,
                Some(TokenTree::Punct(comma)) if comma.as_char() == ',' => {}
                Some(other) => return Err(Wrong::new("wanted a comma", other.span())),
            }
        }
        Ok(options)
    }

    fn set(&mut self, key: &str, value: &str, span: Span) -> Result<(), Wrong> {
        let is_text = value.starts_with('"') && value.ends_with('"') && value.len() >= 2;
        match (key, value) {
            ("flavor", "\"multi_thread\"") => {}
            ("flavor", "\"current_thread\"") => self.calls.push_str(".current_thread()"),
            ("flavor", _) => {
                let wanted = "`flavor` is \"multi_thread\" or \"current_thread\"";
                return Err(Wrong::new(wanted, span));
            }
            ("worker_threads" | "sample_hz", number) if !is_text => {
                self.calls.push_str(&format!(".{key}({number})"));
            }
            ("record", path) if is_text => self.calls.push_str(&format!(".record({path})")),
            ("crate", name) if is_text => self.facade = name.trim_matches('"').to_owned(),
            ("worker_threads" | "sample_hz" | "record" | "crate", _) => {
                return Err(Wrong::new(format!("`{key}` can't be {value}"), span));
            }
            _ => {
                let known = "flavor, worker_threads, record, sample_hz, crate";
                return Err(Wrong::new(format!("no `{key}`; there are: {known}"), span));
            }
        }
        Ok(())
    }
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
