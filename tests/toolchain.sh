# Sourced by the scripts. rust-toolchain.toml pins a version; a machine that holds this very version
# under the name `stable`, and cannot download, uses it as it is.
pinned=$(sed -n 's/^channel = "\(.*\)"$/\1/p' rust-toolchain.toml)
if command -v rustup >/dev/null && ! rustup toolchain list | grep -q "^$pinned" &&
  rustc +stable --version 2>/dev/null | grep -q "^rustc $pinned "; then
  export RUSTUP_TOOLCHAIN=stable
fi
