//! Compiles the C that Rust cannot be: hooks with initial-exec TLS, and the layouts of CPython's
//! frames and objects, which are macros and inline functions of its internal headers.

use std::env;

fn main() {
    println!("cargo:rustc-check-cfg=cfg(native_hooks)");
    let target = |key: &str| env::var(format!("CARGO_CFG_TARGET_{key}")).unwrap_or_default();
    let architecture = matches!(target("ARCH").as_str(), "x86_64" | "aarch64");
    // Set, it builds what other platforms have, so that this is tested where there are tests.
    println!("cargo:rerun-if-env-changed=MEMPROFILE_FALLBACK");
    let fallback = env::var_os("MEMPROFILE_FALLBACK").is_some();
    let native = target("OS") == "linux" && target("ENV") == "gnu" && architecture && !fallback;
    if native {
        println!("cargo:rustc-cfg=native_hooks");
    }
    compile_hooks(native);
    #[cfg(feature = "python")]
    python::compile_layouts();
}

fn compile_hooks(native: bool) {
    println!("cargo:rerun-if-changed=src/hooks");
    let mut hooks = cc::Build::new();
    hooks.file("src/hooks/hot.c").opt_level(2).pic(true).flag("-fvisibility=hidden");
    if cfg!(feature = "python") {
        hooks.define("MEMPROFILE_PYTHON", None);
    }
    if native {
        hooks
            .define("MEMPROFILE_NATIVE", None)
            .file("src/hooks/native.c")
            .file("src/hooks/reaped.c")
            .file("src/hooks/leaving.c")
            .flag("-ftls-model=initial-exec")
            .flag("-fno-builtin")
            // A slot for calls holds the function itself. One for addresses, which -fno-plt would call by,
            // may hold a stub in an executable that is not position-independent, and that one is patched.
            .flag("-fplt")
            .flag("-fomit-frame-pointer")
            .warnings(true)
            .extra_warnings(true)
            .warnings_into_errors(env::var_os("CI").is_some());
    }
    hooks.compile("memprofile_hooks");
}

#[cfg(feature = "python")]
mod python {
    use pyo3_build_config::{InterpreterConfig, PythonImplementation};
    use std::process::Command;

    /// What an interpreter is whose frames and objects nobody has looked at; `None` for those that are served.
    fn unknown(config: &InterpreterConfig) -> Option<String> {
        let version = config.version();
        if config.implementation() != PythonImplementation::CPython {
            Some(format!("{} {version}", config.implementation()))
        } else if !(11..=15).contains(&version.minor) {
            Some(format!("CPython {version}"))
        } else if config.target_abi().kind().is_free_threaded() {
            Some(format!("a free-threaded build of CPython {version}"))
        } else {
            None
        }
    }

    /// Builds the readers of frames and objects against the headers of the interpreter that PyO3 builds for.
    pub fn compile_layouts() {
        let config = pyo3_build_config::get();
        if let Some(what) = unknown(config) {
            println!(
                "cargo::error=memprofile measures CPython 3.11 to 3.15 with the GIL, and this is {what}: install it into an environment of one of those"
            );
            return;
        }
        let executable = config
            .executable()
            .expect("memprofile is built with the interpreter at hand: set PYO3_PYTHON to it");
        let script = "import sysconfig; print(sysconfig.get_paths()['include'])";
        let output = Command::new(executable)
            .args(["-c", script])
            .output()
            .unwrap_or_else(|e| panic!("{executable} does not run: {e}"));
        let include = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        println!("cargo:rerun-if-changed=src/interpreter/frames");
        println!("cargo:rerun-if-changed=src/interpreter/pending.c");
        println!("cargo:rerun-if-changed=src/interpreter/objects");
        cc::Build::new()
            .file("src/interpreter/frames/walk.c")
            .file("src/interpreter/frames/elsewhere.c")
            .file("src/interpreter/frames/variables.c")
            .file("src/interpreter/pending.c")
            .file("src/interpreter/objects/measure.c")
            .file("src/interpreter/objects/referents.c")
            .include(&include)
            .include("src/interpreter/frames")
            .opt_level(2)
            .pic(true)
            // CPython's own headers are not written for our warnings.
            .flag_if_supported("-Wno-unused-parameter")
            .flag("-fvisibility=hidden")
            .compile("memprofile_layouts");
    }
}
