//! Answers addresses from the modules that it was told about.
//!
//! Owns modules, images, budget and cache. The public face of the crate; calls `image` for everything about one file.

use std::path::PathBuf;

use crate::cache::{Frame, FrameCache, Interner};
use crate::image::Image;
use crate::lines::{Budget, SourceFrame};
use crate::module::Module;
use crate::names::{self, Name, Path};
use crate::stats::{ModuleStats, Stats};

/// How to symbolize.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Memory that may be taken, by estimate, for files, lines and inlined frames. When it is used up, what was not asked for the
    /// longest time makes room. Debug information may be read anew up to 32 times this size; after that, and with 0 from the
    /// start, new addresses in code not at hand are answered from symbol tables alone, with line 0. Addresses answered before
    /// keep their frames.
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
    units_closed: u64,
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
            units_closed: 0,
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
        let is_known = self.cache.contains(pc);
        if !is_known && !self.remember(pc) {
            self.misses += 1;
            self.unknown = vec![self.names.bare_frame(&format!("{pc:#x}"))];
        }
        self.cache.frames(pc).unwrap_or(&self.unknown)
    }

    /// Gives touched pages of mapped files back to the kernel, for example after a batch of addresses: they count as resident
    /// memory of this process. Lookups work as before, with a page fault here and there.
    pub fn release_pages(&self) {
        self.images.iter().flatten().for_each(Image::release_pages);
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
            units_closed: self.units_closed,
            limited_modules: self.limited_modules(),
        }
    }

    /// Resolves and caches an address; false if no module covers it.
    fn remember(&mut self, pc: u64) -> bool {
        let Some(at) = covering(&self.modules, pc) else {
            return false;
        };
        let Loaded { module, image } = &self.modules[at];
        let open = || Image::open(module, &self.options);
        let image = self.images[*image].get_or_insert_with(open);
        let answer = self.names.look_up(image, module, pc, &mut self.budget);
        self.misses += u64::from(!answer.is_named);
        self.cache.insert(pc, answer.frames);
        self.make_room();
        true
    }

    /// Closes the units that were not asked for the longest time, in all images, until the budget is kept.
    fn make_room(&mut self) {
        while self.budget.is_exceeded() {
            let open = self.images.iter_mut().flatten();
            let open = open.filter(|image| image.oldest_lookup().is_some());
            let Some(image) = open.min_by_key(|image| image.oldest_lookup()) else {
                return;
            };
            image.close_oldest_unit(&mut self.budget);
            self.units_closed += 1;
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

fn covering(sorted: &[Loaded], pc: u64) -> Option<usize> {
    let after = sorted.partition_point(|loaded| loaded.module.start <= pc);
    let last = after.checked_sub(1)?;
    sorted.get(last)?.module.contains(pc).then_some(last)
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
        let mut path = Path::default();
        image.source_frames(address, budget, |frame| {
            path = frame.name.as_ref().map_or(Path::None, Name::path);
            frames.push(self.source_frame(&frame));
        });
        if frames.is_empty() {
            frames.push(self.bare_frame(NAMELESS));
        }
        // The path of the last frame, the physical function: inlined ones have no symbol.
        let symbol = image
            .symbol(address)
            .filter(|symbol| path.yields_to(symbol));
        let is_named = self.name_outermost(&mut frames, symbol, module, pc);
        Answer { frames, is_named }
    }

    /// Names the physical function by its symbol, or by module and offset if it has no name at all, which gives false.
    fn name_outermost(
        &mut self,
        frames: &mut [Frame],
        symbol: Option<&[u8]>,
        module: &Module,
        pc: u64,
    ) -> bool {
        let Some(outermost) = frames.last_mut() else {
            return false;
        };
        if let Some(symbol) = symbol {
            outermost.function = self.functions.intern(&names::readable(symbol));
        } else if &*outermost.function == NAMELESS {
            outermost.function = self.functions.intern(&module.name_with_offset(pc));
            return false;
        }
        true
    }

    fn source_frame(&mut self, frame: &SourceFrame<'_>) -> Frame {
        let name = frame.name.as_ref().map(Name::readable);
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

/// Name of a function whose name the debug information does not have.
const NAMELESS: &str = "??";
