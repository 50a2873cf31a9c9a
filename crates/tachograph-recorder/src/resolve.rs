//! Addresses to the frames of the wire: resolved once per distinct address, named per generation.
//!
//! On the writer thread. Go's reader wants one name per pc, and its validator a name, a file and a line for every caller; what we
//! don't know is written as the module's path and line 1 (docs/FORMAT.md).

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tachograph_symbols::{Frame as Symbol, Symbolizer};
use tachograph_unwind::Module;
use tachograph_wire::pc::{MAX_INLINE_DEPTH, Pc};

/// A frame with its names still as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedFrame {
    pub(crate) pc: u64,
    pub(crate) function: Arc<str>,
    pub(crate) file: Arc<str>,
    pub(crate) line: u64,
}

/// Resolves addresses of this process.
pub(crate) struct Resolver {
    symbolizer: Option<Symbolizer>,
    modules: Arc<[Module]>,
    frames: HashMap<u64, Arc<[NamedFrame]>>,
    unknown: Arc<str>,
}

impl Resolver {
    /// Without a symbolizer, functions are named by module and offset, for a later look at the files.
    pub(crate) fn new(symbolizer: Option<Symbolizer>) -> Self {
        Self {
            symbolizer,
            modules: Arc::from([]),
            frames: HashMap::new(),
            unknown: Arc::from("[unknown]"),
        }
    }

    /// The code as it is loaded now. Addresses are resolved anew when it has changed.
    pub(crate) fn set_modules(&mut self, modules: &Arc<[Module]>) {
        if Arc::ptr_eq(&self.modules, modules) {
            return;
        }
        self.modules = Arc::clone(modules);
        self.frames.clear();
        if let Some(symbolizer) = &mut self.symbolizer {
            let modules: Vec<_> = modules.iter().map(symbol_module).collect();
            symbolizer.set_modules(&modules);
        }
    }

    /// The frames at one lookup address, innermost first.
    pub(crate) fn resolve(&mut self, address: u64) -> Arc<[NamedFrame]> {
        if let Some(frames) = self.frames.get(&address) {
            return Arc::clone(frames);
        }
        let module = self
            .modules
            .iter()
            .find(|module| (module.start..module.end).contains(&address));
        let path = module.map_or_else(
            || Arc::clone(&self.unknown),
            |module| Arc::from(module.path.to_string_lossy()),
        );
        let frames: Arc<[NamedFrame]> = match &mut self.symbolizer {
            Some(symbolizer) => expand(address, symbolizer.resolve(address), &path),
            None => Arc::from([by_offset(address, module, path)]),
        };
        self.frames.insert(address, Arc::clone(&frames));
        frames
    }
}

fn expand(address: u64, symbols: &[Symbol], path: &Arc<str>) -> Arc<[NamedFrame]> {
    // Deeper frames would share a pc.
    let symbols = &symbols[symbols
        .len()
        .saturating_sub(usize::from(MAX_INLINE_DEPTH) + 1)..];
    let deepest = symbols.len().saturating_sub(1);
    symbols
        .iter()
        .enumerate()
        .map(|(i, symbol)| NamedFrame {
            pc: Pc::Code {
                address,
                inline_depth: (deepest - i) as u8,
            }
            .encode(),
            function: Arc::clone(&symbol.function),
            file: match symbol.file.is_empty() {
                true => Arc::clone(path),
                false => Arc::clone(&symbol.file),
            },
            line: u64::from(symbol.line.max(1)),
        })
        .collect()
}

fn by_offset(address: u64, module: Option<&Module>, path: Arc<str>) -> NamedFrame {
    let function = match module {
        Some(module) => format!(
            "{}+{:#x}",
            Path::new(&*path)
                .file_name()
                .unwrap_or_default()
                .to_string_lossy(),
            address.wrapping_sub(module.bias)
        ),
        None => format!("{address:#x}"),
    };
    NamedFrame {
        pc: Pc::physical(address).encode(),
        function: function.into(),
        file: path,
        line: 1,
    }
}

fn symbol_module(module: &Module) -> tachograph_symbols::Module {
    tachograph_symbols::Module {
        start: module.start,
        end: module.end,
        bias: module.bias,
        path: module.path.clone(),
        build_id: module.build_id.clone(),
    }
}
