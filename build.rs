//! Links the program to a fixed address on Linux with glibc.
//!
//! A position-independent program of this size has a megabyte of pointers that each process patches at
//! its start and then holds by itself; six roles and `up` hold seven of them. At a fixed address the
//! linker has patched them in the file, and all processes share it. The price is that the program's own
//! code is not at a random address; heap, stacks and libraries still are.

#![allow(clippy::print_stdout, reason = "how a build script speaks")]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |part: &str| std::env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    let profile = std::env::var("PROFILE").unwrap_or_default();
    if (target("OS"), target("ENV")) == ("linux".to_owned(), "gnu".to_owned()) && profile == "release" {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
