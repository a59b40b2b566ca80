//! A native module in Rust that answers in capitals. See native.md.
//!
//!     rustc --edition 2021 --crate-type cdylib -O -o mesibo_mod_shout.so shout.rs

use std::ffi::{c_char, c_int, c_long, c_ulong, CStr};

// As boardtalk_module.h has them.

#[repr(C)]
pub struct Params {
    numbers: [c_ulong; 15], // aid, id, refid, groupid, flags, type, expiry, uflags …
    to: *const c_char,
    from: *const c_char,
}

#[repr(C)]
pub struct Module {
    version: c_ulong,
    flags: c_ulong,
    name: *const c_char,
    description: *const c_char,
    ctx: *mut u8,
    config: *mut u8,
    on_cleanup: usize,
    on_message: Option<extern "C" fn(&Module, &Params, *mut c_char, c_ulong) -> c_long>,
    others: [usize; 16], // up to 192 bytes
}

extern "C" {
    fn mesibo_message(m: &Module, params: &Params, text: *const c_char, len: c_ulong) -> c_long;
    fn mesibo_log(m: &Module, level: c_ulong, format: *const c_char, ...) -> c_long;
}

extern "C" fn on_message(module: &Module, message: &Params, text: *mut c_char, len: c_ulong) -> c_long {
    if unsafe { CStr::from_ptr(message.to) } != c"shout" {
        return 0; // it goes on
    }
    let text = unsafe { std::slice::from_raw_parts(text as *const u8, len as usize) };
    let answer = String::from_utf8_lossy(text).to_uppercase();
    let mut params = Params { to: message.from, from: message.to, ..*message };
    (params.numbers[1], params.numbers[2]) = (0, message.numbers[1]); // id, refid
    unsafe { mesibo_message(module, &params, answer.as_ptr().cast(), answer.len() as c_ulong) };
    1 // it ends here
}

#[no_mangle]
pub extern "C" fn mesibo_module_shout_init(version: c_long, module: &mut Module, size: c_ulong) -> c_int {
    if version != 1 || size as usize != std::mem::size_of::<Module>() {
        return -1;
    }
    module.on_message = Some(on_message);
    unsafe { mesibo_log(module, 0, c"%s was written in %s".as_ptr(), module.name, c"Rust".as_ptr()) };
    0
}
