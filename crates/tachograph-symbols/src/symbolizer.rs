//! Answers addresses from the modules that it was told about.
//!
//! Owns modules, images, budget and cache. The public face of the crate; calls `image` for everything about one file.

use std::collections::hash_map::Entry;
use std::path::PathBuf;

use crate::cache::{Frame, FrameCache, Interner};
use crate::image::Image;
use crate::lines::{Budget, SourceFrame};
use crate::module::Module;
use crate::names;
use crate::stats::{ModuleStats, Stats};

/// How to symbolize.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Memory that may be taken, by estimate, for files, lines and inlined frames. Past it, and with 0 from the start, new
    /// addresses are answered from symbol tables alone, with line 0; addresses answered before keep their frames.
    pub lines_budget_bytes: u64,
    /// Whether the modules are those of this process: then the vDSO is read from memory, and the executable through
    /// `/proc/self/exe`, which works when its file was deleted or replaced.
    pub this_process: bool,
    /// Where separate debug files are looked for, after the module's own directory.
    pub debug_directories: Vec<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lines_budget_bytes: 64 << 20,
            this_process: true,
            debug_directories: vec![PathBuf::from("/usr/lib/debug")],
        }
    }
}

/// Resolves addresses and remembers the answers. One thread owns it.
pub struct Symbolizer {
    options: Options,
    /// Sorted by start.
    modules: Vec<Loaded>,
    images: Vec<Option<Image>>,
    cache: FrameCache,
    budget: Budget,
    names: Names,
    /// The last answer for an address outside of all modules: such addresses aren't cached, they have no bound.
    unknown: Vec<Frame>,
    misses: u64,
}

impl Symbolizer {
    /// A symbolizer without modules.
    pub fn new(options: Options) -> Self {
        Self {
            budget: Budget::new(options.lines_budget_bytes),
            options,
            modules: Vec::new(),
            images: Vec::new(),
            cache: FrameCache::default(),
            names: Names::default(),
            unknown: Vec::new(),
            misses: 0,
        }
    }

    /// Replaces the module list. Frames and files of modules that stay the same are kept; frames over other ranges are forgotten.
    pub fn set_modules(&mut self, modules: &[Module]) {
        let mut old = std::mem::take(&mut self.modules);
        let mut old_images = std::mem::take(&mut self.images);
        for module in modules {
            let image = self.image_for(module, &old, &mut old_images);
            let module = module.clone();
            self.modules.push(Loaded { module, image });
        }
        for gone in old_images.iter().flatten() {
            self.budget.release(gone.lines_bytes());
        }
        self.modules.sort_by_key(|loaded| loaded.module.start);
        let new = &self.modules;
        old.retain(|was| !new.iter().any(|is| is.module == was.module));
        self.cache
            .forget(|pc| old.iter().any(|gone| gone.module.contains(pc)));
        self.names.functions.shrink();
        self.names.files.shrink();
    }

    /// The frames at a lookup address (a return address minus one, or an interrupted PC as it is): innermost inlined call first,
    /// physical function last, never empty.
    pub fn resolve(&mut self, pc: u64) -> &[Frame] {
        let slot = match self.cache.entry(pc) {
            Entry::Occupied(known) => return known.into_mut(),
            Entry::Vacant(slot) => slot,
        };
        let Some(loaded) = covering(&self.modules, pc) else {
            self.misses += 1;
            self.unknown = vec![self.names.bare_frame(&format!("{pc:#x}"))];
            return &self.unknown;
        };
        let module = &loaded.module;
        let image = &mut self.images[loaded.image];
        let image = image.get_or_insert_with(|| Image::open(module, &self.options));
        let answer = self.names.look_up(image, module, pc, &mut self.budget);
        self.misses += u64::from(!answer.is_named);
        slot.insert(answer.frames.into_boxed_slice())
    }

    /// What was done so far, and what is missing.
    pub fn stats(&self) -> Stats {
        let images = || self.images.iter().flatten();
        Stats {
            addresses: self.cache.len() as u64,
            misses: self.misses,
            modules_opened: images().filter(|image| image.is_open()).count() as u64,
            bytes_mapped: images().map(Image::mapped_bytes).sum(),
            symbols_bytes: images().map(Image::symbols_bytes).sum(),
            lines_bytes: self.budget.used_bytes(),
            limited_modules: self.limited_modules(),
        }
    }

    /// The place of a module's image: one that is listed already, the one that it had before, or an empty one.
    fn image_for(
        &mut self,
        module: &Module,
        old: &[Loaded],
        old_images: &mut [Option<Image>],
    ) -> usize {
        let mut listed = self.modules.iter();
        if let Some(twin) = listed.find(|l| l.module.same_file(module)) {
            return twin.image;
        }
        let same = |was: &&Loaded| match module.build_id.is_empty() {
            // Without a build id another file may have taken the path.
            true => was.module == *module,
            false => was.module.same_file(module),
        };
        let before = old.iter().find(same);
        let before = before.and_then(|was| old_images[was.image].take());
        self.images.push(before);
        self.images.len() - 1
    }

    fn limited_modules(&self) -> Vec<ModuleStats> {
        let mut seen = vec![false; self.images.len()];
        let first_use = |loaded: &&Loaded| !std::mem::replace(&mut seen[loaded.image], true);
        let limits = |loaded: &Loaded| {
            let image = self.images[loaded.image].as_ref()?;
            let shortfalls = image.shortfalls().to_vec();
            (!shortfalls.is_empty()).then(|| ModuleStats {
                path: loaded.module.path.clone(),
                shortfalls,
            })
        };
        let modules = self.modules.iter().filter(first_use);
        modules.filter_map(limits).collect()
    }
}

/// A module and the place of its image.
struct Loaded {
    module: Module,
    image: usize,
}

fn covering(sorted: &[Loaded], pc: u64) -> Option<&Loaded> {
    let after = sorted.partition_point(|loaded| loaded.module.start <= pc);
    let last = sorted.get(after.checked_sub(1)?)?;
    last.module.contains(pc).then_some(last)
}

/// The strings of all frames.
#[derive(Default)]
struct Names {
    functions: Interner,
    files: Interner,
}

struct Answer {
    frames: Vec<Frame>,
    is_named: bool,
}

impl Names {
    fn look_up(
        &mut self,
        image: &mut Image,
        module: &Module,
        pc: u64,
        budget: &mut Budget,
    ) -> Answer {
        let address = module.link_address(pc);
        let mut frames = Vec::new();
        let mut outermost_is_mangled = false;
        image.source_frames(address, budget, |frame| {
            outermost_is_mangled = frame.linkage_name.is_some_and(names::is_mangled);
            frames.push(self.source_frame(&frame));
        });
        // A plain DWARF name lacks the path that the symbol's name has.
        let symbol = image.symbol(address).filter(|_| !outermost_is_mangled);
        let mut is_named = symbol.is_some() || outermost_is_mangled;
        let Some(outermost) = frames.last_mut() else {
            let name = symbol.map(names::readable);
            let name = name.unwrap_or_else(|| module.name_with_offset(pc).into());
            let frames = vec![self.bare_frame(&name)];
            return Answer { frames, is_named };
        };
        if let Some(symbol) = symbol {
            outermost.function = self.functions.intern(&names::readable(symbol));
        } else if &*outermost.function == NAMELESS {
            outermost.function = self.functions.intern(&module.name_with_offset(pc));
        } else {
            is_named = true;
        }
        Answer { frames, is_named }
    }

    fn source_frame(&mut self, frame: &SourceFrame<'_>) -> Frame {
        let name = frame.linkage_name.map(names::readable);
        Frame {
            function: self.functions.intern(name.as_deref().unwrap_or(NAMELESS)),
            file: self.files.intern(frame.file.unwrap_or_default()),
            line: frame.line,
        }
    }

    fn bare_frame(&mut self, name: &str) -> Frame {
        Frame {
            function: self.functions.intern(name),
            file: self.files.intern(""),
            line: 0,
        }
    }
}

/// Name of an inlined function whose name the debug information does not have.
const NAMELESS: &str = "??";
