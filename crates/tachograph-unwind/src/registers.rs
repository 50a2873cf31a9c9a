//! The three registers that a walk starts from.
//!
//! Owns [`Registers`]: from a signal's context, or captured in the caller.

/// Instruction pointer, stack pointer and frame pointer of one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// The next instruction of the frame.
    pub ip: u64,
    /// The stack pointer.
    pub sp: u64,
    /// The frame-pointer register, whatever the code uses it for.
    pub fp: u64,
}

impl Registers {
    /// The registers of the code that a signal interrupted. All zero on unknown targets.
    ///
    /// # Safety
    /// * `context` is the third argument of a running `SA_SIGINFO` handler.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    pub unsafe fn from_ucontext(context: *const libc::c_void) -> Self {
        // SAFETY: the caller hands over a ucontext_t; only plain integers are read from it.
        let greg = |index: i32| unsafe {
            (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs[index as usize] as u64
        };
        Self {
            ip: greg(libc::REG_RIP),
            sp: greg(libc::REG_RSP),
            fp: greg(libc::REG_RBP),
        }
    }

    /// The registers of the code that a signal interrupted. All zero on unknown targets.
    ///
    /// # Safety
    /// * `context` is the third argument of a running `SA_SIGINFO` handler.
    #[cfg(all(target_os = "linux", target_arch = "aarch64"))]
    pub unsafe fn from_ucontext(context: *const libc::c_void) -> Self {
        // SAFETY: the caller hands over a ucontext_t; only plain integers are read from it.
        let machine = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
        Self {
            ip: machine.pc,
            sp: machine.sp,
            fp: machine.regs[29],
        }
    }

    /// The registers of the code that a signal interrupted. All zero on unknown targets.
    ///
    /// # Safety
    /// * `context` is the third argument of a running `SA_SIGINFO` handler.
    #[cfg(not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )))]
    pub unsafe fn from_ucontext(_context: *const libc::c_void) -> Self {
        Self::default()
    }

    /// The registers of the function that this call is inlined into. All zero on unknown targets.
    ///
    /// The walk must be started from that same function: a frame that has returned can't be walked.
    #[inline(always)]
    pub fn capture() -> Self {
        let mut here = Self::default();
        #[cfg(target_arch = "x86_64")]
        // SAFETY: reads three registers, touches neither memory nor flags.
        unsafe {
            std::arch::asm!("lea {ip}, [rip]", "mov {sp}, rsp", "mov {fp}, rbp",
                ip = out(reg) here.ip, sp = out(reg) here.sp, fp = out(reg) here.fp,
                options(nomem, nostack, preserves_flags));
        }
        #[cfg(target_arch = "aarch64")]
        // SAFETY: reads three registers, touches neither memory nor flags.
        unsafe {
            std::arch::asm!("adr {ip}, .", "mov {sp}, sp", "mov {fp}, x29",
                ip = out(reg) here.ip, sp = out(reg) here.sp, fp = out(reg) here.fp,
                options(nomem, nostack, preserves_flags));
        }
        here
    }
}
