#!/usr/bin/env bash
# Packs the packages as a release does, twice, from two copies of the files in folders of other names, and looks into them: files,
# metadata, dependencies, symbols, where the sources are; and that both times the same bytes came out. Takes two builds: a minute or two.
set -uo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
command -v unzip >/dev/null || { echo "pack-check needs unzip (Debian: apt-get install unzip)"; exit 1; }
mkdir -p artifacts
folder=$(mktemp -d -p "$PWD/artifacts")
trap 'rm -rf "$folder"' EXIT
status=0

# A copy as a clone of a published repository is: the same commit in both, whoever makes it and when.
address=https://github.com/example/sorsa
copy() {
    mkdir -p "$1"
    git ls-files -z --cached --others --exclude-standard -- src build '*.props' '*.targets' global.json NuGet.config LICENSE .gitignore \
        | xargs -0 cp --parents -t "$1" || exit 1
    (
        cd "$1" || exit 1
        export GIT_AUTHOR_DATE=2000-01-01T00:00:00Z GIT_COMMITTER_DATE=2000-01-01T00:00:00Z
        git init -q && git add -A && git -c user.name=check -c user.email=check@example.org commit -qm check \
            && git remote add origin "$address.git"
    ) || exit 1
}

# As a release is packed: without this machine's paths in it.
pack() {
    for name in Microsoft.ML.Sorsa.Hangfire Microsoft.ML.Sorsa.AIEvaluation Microsoft.ML.Sorsa.Mpi; do
        dotnet build "$1/src/$name" -c Release -p:ContinuousIntegrationBuild=true -v q --nologo >"$1/log" 2>&1 || { cat "$1/log"; exit 1; }
    done
    for name in Microsoft.ML.Sorsa{,.Sweeps,.Hangfire,.AIEvaluation,.Mpi}; do
        dotnet pack "$1/src/$name" -c Release -p:ContinuousIntegrationBuild=true -v q --nologo --no-build -o "$1/packages" \
            >"$1/log" 2>&1 || { cat "$1/log"; exit 1; }
    done
}

copy "$folder/first" && pack "$folder/first" || exit 1
copy "$folder/another-name" && pack "$folder/another-name" || exit 1
packages=$folder/first/packages
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
        '<icon>icon.png</icon>' '<description>' '<tags>' "<repository type=\"git\" url=\"$address.git\"" \
        ' commit="'; do
        grep -qF "$element" <<< "$nuspec" || { echo "$name: the nuspec has no $element"; status=1; }
    done
    [ "$(unzip -p "$package" README.md | sed -n 1p)" = "# $name" ] || { echo "$name: its README.md is another one"; status=1; }
    # A debugger finds the sources by the commit's address. (Read to its end: a pipe that breaks is a failure, too.)
    unzip -p "$symbols" "lib/net10.0/$name.pdb" | grep -aF "https://raw.githubusercontent.com/example/sorsa/" >/dev/null \
        || { echo "$name: its symbols do not say where the sources are"; status=1; }
    for kind in dll xml; do
        cmp -s <(unzip -p "$package" "lib/net10.0/$name.$kind") \
            <(unzip -p "$folder/another-name/packages/$name.$version.nupkg" "lib/net10.0/$name.$kind") \
            || { echo "$name: a second build from another folder gives another $name.$kind"; status=1; }
    done
    cmp -s <(unzip -p "$symbols" "lib/net10.0/$name.pdb") \
        <(unzip -p "$folder/another-name/packages/$name.$version.snupkg" "lib/net10.0/$name.pdb") \
        || { echo "$name: a second build from another folder gives other symbols"; status=1; }
    # The library names its symbols' file; a release's begins with /_/.
    if unzip -p "$package" "lib/net10.0/$name.dll" | grep -aF "$PWD" >/dev/null; then
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
check Microsoft.ML.Sorsa.Mpi "Microsoft.ML.Sorsa" ""

same "packages" "$(printf '%s\n' Microsoft.ML.Sorsa{,.Sweeps,.Hangfire,.AIEvaluation,.Mpi}".$version".{nupkg,snupkg})" \
    "$(ls "$packages")"

# The version stands in one place.
same "files with a version" build/Common.props \
    "$(git ls-files --cached --others --exclude-standard -- '*.props' '*.targets' '*.csproj' | xargs grep -lE '<(Package|Assembly|File)?Version>')"
grep -qF "Include=\"Microsoft.ML.Sorsa\" Version=\"$version\"" docs/your-own-data.md \
    || { echo "docs/your-own-data.md names another version than $version"; status=1; }
[ $status -eq 0 ] && echo "The packages hold what they should."
exit $status
