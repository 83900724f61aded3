#!/usr/bin/env bash
# Packs the tool, installs it from a folder as anybody would, and trains the bundled model with it. The version is this run's own and packages
# go to a folder of its own, so that nothing that an earlier run left on this machine is what is tested.
set -uo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
command -v unzip >/dev/null || { echo "tool-check needs unzip (Debian: apt-get install unzip)"; exit 1; }
mkdir -p artifacts
folder=$(mktemp -d -p "$PWD/artifacts")
trap 'rm -rf "$folder"' EXIT
version=$(dotnet msbuild src/Microsoft.ML.Sorsa -getProperty:Version)-check.$(date +%s).$$

# The package alone has the version: the libraries need not be built for it.
dotnet pack src/Microsoft.ML.Sorsa.Tool -c Release -o "$folder/packages" -p:PackageVersion="$version" -v q || exit 1

# The package that points to the machines', and this machine's: each has what a page of a registry shows.
for package in "$folder"/packages/*.nupkg; do
    nuspec=$(unzip -p "$package" '*.nuspec')
    for file in README.md icon.png; do
        unzip -Z1 "$package" | grep -xF "$file" >/dev/null || { echo "tool-check: $package has no $file"; exit 1; }
    done
    for element in "<version>$version</version>" '<license type="expression">MIT</license>' '<readme>README.md</readme>' \
        '<icon>icon.png</icon>' '<description>' '<tags>'; do
        grep -qF "$element" <<< "$nuspec" || { echo "tool-check: the nuspec of $package has no $element"; exit 1; }
    done
    [ "$(unzip -p "$package" README.md | sed -n 1p)" = "# Microsoft.ML.Sorsa.Tool" ] \
        || { echo "tool-check: the README.md of $package is another one"; exit 1; }
done
[ "$(ls "$folder"/packages/*.nupkg | wc -l)" -eq 2 ] || { echo "tool-check: not two packages: $(ls "$folder/packages")"; exit 1; }
NUGET_PACKAGES=$folder/cache dotnet tool install Microsoft.ML.Sorsa.Tool --version "$version" --source "$folder/packages" \
    --tool-path "$folder/tool" || exit 1

sorsa() {
    "$folder/tool/sorsa" "$@"
}

fail() {
    echo "tool-check: $1"
    exit 1
}

sorsa --version || exit 1
sorsa train --help | grep -q 'The share of the steps' || fail "help does not have the library's documentation"
sorsa train samples/YourOwnData/stories.csv --prompt-column-name Question --response-column-name Answer \
    --model-folder samples/models/tiny-llama-math --max-steps 20 --out "$folder/run" || exit 1
sorsa generate "$folder/run" "How much money does she spend in total?" --json > "$folder/reply.json" || exit 1
grep -q '^{"replies":\[{.*"warnings":\[\]}$' "$folder/reply.json" || fail "the reply is $(cat "$folder/reply.json")"
sorsa export "$folder/run" --format gguf --out "$folder/model.gguf" || exit 1
sorsa train nowhere.jsonl --model-folder samples/models/tiny-llama-math --out "$folder/none" 2> "$folder/error"
[ $? -eq 3 ] || fail "a file that is not there has another exit code than 3"
[ "$(wc -l < "$folder/error")" -eq 1 ] || fail "an error has more than one line: $(cat "$folder/error")"
echo "The tool is installed and trains."
