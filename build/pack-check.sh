#!/usr/bin/env bash
# Packs the packages from nothing, in a folder of its own, and looks into them: files, metadata, dependencies, symbols.
set -uo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
command -v unzip >/dev/null || { echo "pack-check needs unzip (Debian: apt-get install unzip)"; exit 1; }
mkdir -p artifacts
folder=$(mktemp -d -p "$PWD/artifacts")
trap 'rm -rf "$folder"' EXIT
status=0

# As a release is packed: without this machine's paths in it.
for name in Microsoft.ML.Sorsa.Hangfire Microsoft.ML.Sorsa.AIEvaluation; do
    dotnet pack "src/$name" -c Release --artifacts-path "$folder" -p:ContinuousIntegrationBuild=true -v q || exit 1
done
for name in Microsoft.ML.Sorsa Microsoft.ML.Sorsa.Sweeps; do
    dotnet pack "src/$name" -c Release --artifacts-path "$folder" -p:ContinuousIntegrationBuild=true -v q --no-build || exit 1
done
packages=$folder/package/release
version=$(dotnet msbuild src/Microsoft.ML.Sorsa -getProperty:Version)

# What is there, against what must be; both one a line.
same() {
    if ! difference=$(diff <(sort <<< "$2") <(sort <<< "$3")); then
        echo "$1 (< must be, > is):"
        echo "$difference"
        status=1
    fi
}

# The files of a package, but for those that every package has for its format.
files() {
    unzip -Z1 "$1" | grep -vE '^(_rels/|package/|\[Content_Types\]\.xml$)|\.nuspec$'
}

# Package, then its dependencies, then the files that only it has.
check() {
    local name=$1 dependencies=$2 more=$3
    local package=$packages/$name.$version.nupkg symbols=$packages/$name.$version.snupkg
    same "$name, files" "$(printf '%s\n' README.md icon.png "lib/net10.0/$name.dll" "lib/net10.0/$name.xml" $more)" "$(files "$package")"
    same "$name, symbols" "lib/net10.0/$name.pdb" "$(files "$symbols")"

    local nuspec
    nuspec=$(unzip -p "$package" "$name.nuspec")
    same "$name, dependencies" "$(printf '%s\n' $dependencies)" "$(sed -nE 's/.*<dependency id="([^"]+)".*/\1/p' <<< "$nuspec")"
    for element in "<version>$version</version>" '<license type="expression">MIT</license>' '<readme>README.md</readme>' \
        '<icon>icon.png</icon>' '<description>' '<tags>' '<repository type="git"'; do
        grep -qF "$element" <<< "$nuspec" || { echo "$name: the nuspec has no $element"; status=1; }
    done
    # The library names its symbols' file; a release's begins with /_/.
    if unzip -p "$package" "lib/net10.0/$name.dll" | grep -qaF "$PWD"; then
        echo "$name has this machine's paths in it"
        status=1
    fi
}

check Microsoft.ML.Sorsa \
    "Microsoft.Extensions.AI.Abstractions Microsoft.ML Microsoft.ML.Tokenizers System.IO.Hashing System.Numerics.Tensors TorchSharp" \
    buildTransitive/Microsoft.ML.Sorsa.targets
check Microsoft.ML.Sorsa.Sweeps "Microsoft.ML.Sorsa Microsoft.Data.Sqlite OxyPlot.Core" ""
check Microsoft.ML.Sorsa.Hangfire "Microsoft.ML.Sorsa.Sweeps Hangfire.Core Hangfire.PostgreSql Npgsql" ""
check Microsoft.ML.Sorsa.AIEvaluation "Microsoft.ML.Sorsa Microsoft.Extensions.AI.Evaluation" ""

same "packages" "$(printf '%s\n' Microsoft.ML.Sorsa{,.Sweeps,.Hangfire,.AIEvaluation}".$version".{nupkg,snupkg})" \
    "$(ls "$packages")"
[ $status -eq 0 ] && echo "The packages hold what they should."
exit $status
