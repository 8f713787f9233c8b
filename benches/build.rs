//! Links libwim for the feature of that name; `LIBWIM_DIR` chooses a build other than the system's
//! by the directory that holds `libwim.so`.

fn main() {
    println!("cargo::rerun-if-env-changed=LIBWIM_DIR");
    if std::env::var_os("CARGO_FEATURE_LIBWIM").is_none() {
        return;
    }
    if let Ok(dir) = std::env::var("LIBWIM_DIR") {
        println!("cargo::rustc-link-search=native={dir}");
        println!("cargo::rustc-link-arg=-Wl,-rpath,{dir}");
    }
    println!("cargo::rustc-link-lib=dylib=wim");
}
