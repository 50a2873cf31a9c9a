//! A program whose functions lie in modules and types, inlined and not. Built by `tests/debug_levels.rs`.

mod outer {
    pub mod inner {
        use std::hint::black_box;

        pub struct Pair<T>(pub T, pub T);

        impl<T: Copy + Into<u64>> Pair<T> {
            #[inline(always)]
            pub fn total(&self) -> u64 {
                black_box(self.0.into()) + black_box(self.1.into())
            }
        }

        #[inline(always)]
        pub fn in_module(value: u64) -> u64 {
            black_box(value) + 1
        }

        // The compiler inlines it all the same.
        #[unsafe(no_mangle)]
        pub extern "C" fn unmangled(value: u64) -> u64 {
            black_box(value) + 2
        }

        #[inline(never)]
        #[unsafe(no_mangle)]
        pub extern "C" fn unmangled_physical(value: u64) -> u64 {
            unmangled(value) * 3
        }

        #[inline(never)]
        pub fn physical(value: u64) -> u64 {
            let in_closure = |value: u64| black_box(value) * 5;
            in_module(value) + in_closure(value) + Pair(1u32, 2u32).total()
        }
    }
}

mod later {
    #[inline(never)]
    #[unsafe(no_mangle)]
    pub extern "C" fn unmangled_later(value: u64) -> u64 {
        std::hint::black_box(value) * 7
    }
}

fn main() {
    let value = outer::inner::physical(1) + outer::inner::unmangled_physical(2);
    let value = value + later::unmangled_later(3);
    std::process::exit(i32::from(value == 0));
}
