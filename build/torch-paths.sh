# Where the libraries of a Python torch lie; to be sourced. LD_LIBRARY_PATH=FOLDER_OF_LIBTORCHSHARP:$TORCH_PATHS starts a program that was
# published without libtorch (docs/gpu.md). PYTHON names another Python, TORCH_DIR the folder of its torch.
PYTHON=${PYTHON:-$(command -v python3)}
TORCH_DIR=${TORCH_DIR:-$("$PYTHON" -c 'import importlib.util as u; print(list(u.find_spec("torch").submodule_search_locations)[0])')}
TORCH_PATHS=$TORCH_DIR/lib
# cudart, cublas, cudnn and the others, in the wheels beside torch.
for folder in "$(dirname "$TORCH_DIR")"/nvidia/*/lib "$(dirname "$TORCH_DIR")"/nvidia/*/lib64; do
    [ -d "$folder" ] && TORCH_PATHS=$TORCH_PATHS:$folder
done
TORCH_PATHS=$TORCH_PATHS${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export TORCH_PATHS
