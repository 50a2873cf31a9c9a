//! From `.eh_frame` to rows.
//!
//! Owns the translation of DWARF call-frame rules into [`Rule`]s. Called by `snapshot`, outside of
//! signal handlers. The input comes from a loaded module, but nothing here trusts it: what can't be
//! read gives no rows, what can't be followed gives [`Rule::UNSUPPORTED`].

use gimli::{
    BaseAddresses, CfaRule, CieOrFde, CommonInformationEntry, EhFrame, EhFrameHdr, EhFrameOffset,
    EndianSlice, FrameDescriptionEntry, NativeEndian, Register, RegisterRule, UnwindContext,
    UnwindExpression, UnwindSection, UnwindTableRow, X86_64,
};

use crate::Module;
use crate::modules::UnwindSections;
use crate::rule::{Rule, SavedFp};
use crate::table::{Row, Table};

type Bytes<'a> = EndianSlice<'a, NativeEndian>;
type Section<'a> = EhFrame<Bytes<'a>>;
type Cie<'a> = CommonInformationEntry<Bytes<'a>>;
type Fde<'a> = FrameDescriptionEntry<Bytes<'a>>;

/// Makes the table of `module` from copies of its unwind sections.
pub(crate) fn compile(module: &Module, sections: &UnwindSections) -> Table {
    let mut compiler = Compiler::new(module, sections);
    if compiler.compile_listed(sections).is_none() {
        compiler.rows.clear();
        compiler.compile_scanned();
    }
    Table::new(compiler.rows)
}

struct Compiler<'a> {
    start: u64,
    end: u64,
    section: Section<'a>,
    bases: BaseAddresses,
    context: UnwindContext<usize>,
    /// CIEs by offset. A module has a handful, and FDEs of one CIE come in runs.
    cies: Vec<(usize, Cie<'a>)>,
    rows: Vec<Row>,
}

impl<'a> Compiler<'a> {
    fn new(module: &Module, sections: &'a UnwindSections) -> Self {
        let mut section = EhFrame::new(&sections.frame, NativeEndian);
        section.set_address_size(8);
        let bases = BaseAddresses::default()
            .set_eh_frame_hdr(sections.hdr_address)
            .set_eh_frame(sections.frame_address)
            .set_text(module.start);
        let (context, cies, rows) = (UnwindContext::new(), Vec::new(), Vec::new());
        Self {
            start: module.start,
            end: module.end,
            section,
            bases,
            context,
            cies,
            rows,
        }
    }

    /// Takes the FDEs from the sorted list in `.eh_frame_hdr`. `None` if there is no such list.
    fn compile_listed(&mut self, sections: &UnwindSections) -> Option<()> {
        let hdr = EhFrameHdr::new(&sections.hdr, NativeEndian);
        let hdr = hdr.parse(&self.bases, 8).ok()?;
        let table = hdr.table()?;
        let bases = self.bases.clone();
        let mut listed = table.iter(&bases);
        // Two words a function in the list; five rows a function is common.
        self.rows.reserve(sections.hdr.len() / 8 * 5);
        while let Some((_, address)) = listed.next().ok()? {
            let offset = address.pointer().checked_sub(sections.frame_address)?;
            self.compile_at(EhFrameOffset(offset as usize));
        }
        Some(())
    }

    /// Reads `.eh_frame` from its start to its end mark.
    fn compile_scanned(&mut self) {
        let (section, bases) = (self.section, self.bases.clone());
        let mut entries = section.entries(&bases);
        while let Ok(Some(entry)) = entries.next() {
            if let CieOrFde::Fde(partial) = entry {
                self.compile_at(EhFrameOffset(partial.offset()));
            }
        }
    }

    fn compile_at(&mut self, offset: EhFrameOffset) {
        let cies = &mut self.cies;
        let fde = self
            .section
            .fde_from_offset(&self.bases, offset, |section, bases, at| {
                cached_cie(cies, section, bases, at)
            });
        if let Ok(fde) = fde {
            self.compile_function(&fde);
        }
    }

    fn compile_function(&mut self, fde: &Fde<'a>) {
        let (from, to) = (fde.initial_address(), fde.end_address());
        if from >= to || from < self.start || to > self.end || to - self.start > u64::from(u32::MAX)
        {
            return;
        }
        let offset_of = |address: u64| (address - self.start) as u32;
        self.rows.push(Row::new(offset_of(to), Rule::UNKNOWN));
        if fde.is_signal_trampoline() {
            self.rows.push(Row::new(offset_of(from), Rule::SIGNAL));
            return;
        }
        let Ok(mut table) = fde.rows(&self.section, &self.bases, &mut self.context) else {
            return;
        };
        loop {
            match table.next_row() {
                Ok(Some(row)) if (from..to).contains(&row.start_address()) => {
                    let rule = translate(row, fde.cie(), &self.section);
                    self.rows
                        .push(Row::new(offset_of(row.start_address()), rule));
                }
                Ok(Some(_)) => {}
                // A row that can't be read leaves the rest of the function to the last good row.
                Ok(None) | Err(_) => return,
            }
        }
    }
}

fn cached_cie<'a>(
    cies: &mut Vec<(usize, Cie<'a>)>,
    section: &Section<'a>,
    bases: &BaseAddresses,
    at: EhFrameOffset,
) -> gimli::Result<Cie<'a>> {
    if let Some((_, cie)) = cies.iter().rev().find(|(offset, _)| *offset == at.0) {
        return Ok(cie.clone());
    }
    let cie = section.cie_from_offset(bases, at)?;
    cies.push((at.0, cie.clone()));
    Ok(cie)
}

fn translate(row: &UnwindTableRow<usize>, cie: &Cie<'_>, section: &Section<'_>) -> Rule {
    match row.register(cie.return_address_register()) {
        Some(RegisterRule::Offset(-8)) => {}
        Some(RegisterRule::Undefined) => return Rule::ROOT,
        _ => return Rule::UNSUPPORTED,
    }
    let rule = match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => {
            from_register(*register, *offset, row, section)
        }
        CfaRule::Expression(expression) => from_expression(expression, row, section),
    };
    rule.unwrap_or(Rule::UNSUPPORTED)
}

fn from_register(
    register: Register,
    offset: i64,
    row: &UnwindTableRow<usize>,
    section: &Section<'_>,
) -> Option<Rule> {
    let saved = saved_fp(row, section)?;
    match register {
        X86_64::RSP => Rule::plain(false, offset, saved),
        X86_64::RBP => Rule::plain(true, offset, saved),
        _ => None,
    }
}

fn from_expression(
    expression: &UnwindExpression<usize>,
    row: &UnwindTableRow<usize>,
    section: &Section<'_>,
) -> Option<Rule> {
    let code = expression.get(section).ok()?;
    match *code.0.slice() {
        // rsp + 8 + ((rip & 15) >= lit) * 8
        [
            0x77,
            8,
            0x80,
            0,
            0x3f,
            0x1a,
            lit @ 0x30..=0x4f,
            0x2a,
            0x33,
            0x24,
            0x22,
        ] => Some(Rule::plt(lit - 0x30)),
        // *(rbp + n)
        [0x76, n, 0x06] => Rule::realigned(one_byte_sleb(n)?, saved_fp(row, section)?),
        _ => None,
    }
}

fn saved_fp(row: &UnwindTableRow<usize>, section: &Section<'_>) -> Option<SavedFp> {
    match row.register(X86_64::RBP) {
        None | Some(RegisterRule::Undefined | RegisterRule::SameValue) => Some(SavedFp::Same),
        Some(RegisterRule::Offset(offset)) if offset < 0 && offset % 8 == 0 => {
            u16::try_from(-(offset / 8)).ok().map(SavedFp::BelowCfa)
        }
        Some(RegisterRule::Expression(expression)) => {
            // rbp + 0
            let code = expression.get(section).ok()?;
            (*code.0.slice() == [0x76, 0]).then_some(SavedFp::AtFp)
        }
        _ => None,
    }
}

fn one_byte_sleb(byte: u8) -> Option<i64> {
    (byte < 0x80).then(|| i64::from((byte << 1).cast_signed() >> 1))
}
