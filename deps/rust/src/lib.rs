// Keeps blazesym's exported C functions in the static library.
pub use blazesym_c::*;
