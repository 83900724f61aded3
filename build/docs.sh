#!/usr/bin/env bash
# Builds the site of the documentation into docs/_site: the guides of docs/, and the reference of every package. A warning is an error.
#     build/docs.sh           then look at it:  dotnet docfx serve docs/_site
set -uo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
dotnet tool restore > /dev/null || exit 1
mkdir -p artifacts
stage=$(mktemp -d -p "$PWD/artifacts")
trap 'rm -rf "$stage"' EXIT

# docfx takes no files from above its configuration: what the guides are and link to is laid out as in the repository, with that at the top.
git ls-files -z --cached --others --exclude-standard -- '*.md' docs LICENSE build/icon.png samples src \
    | xargs -0 cp --parents -t "$stage" || exit 1
cp -r docs/site/{docfx.json,index.md,toc.yml,template} "$stage"
cp docs/site/guides.yml "$stage/docs/toc.yml"
rm -r "$stage/docs/site"

# A page that no list names is found by nobody.
for page in docs/*.md; do
    name=$(basename "$page")
    grep -qF "href: $name" docs/site/guides.yml || { echo "$page is not in docs/site/guides.yml: add a line with its name"; exit 1; }
done

# The reference comes from the libraries and their XML files; beside them it wants what they refer to.
for name in Microsoft.ML.Sorsa.Hangfire Microsoft.ML.Sorsa.AIEvaluation Microsoft.ML.Sorsa.Mpi; do
    dotnet build "src/$name" -c Release -p:CopyLocalLockFileAssemblies=true -v q --nologo > "$stage/build.log" \
        || { cat "$stage/build.log"; exit 1; }
    cp src/$name/bin/Release/net10.0/*.{dll,xml} "$stage"
done

dotnet docfx "$stage/docfx.json" --warningsAsErrors --logLevel warning || exit 1
rm -rf docs/_site
mv "$stage/_site" docs/_site
echo "docs/_site holds $(find docs/_site -name '*.html' | wc -l) pages."
