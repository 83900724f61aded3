#!/usr/bin/env bash
# The package as somebody else's program has it: outside of this repository, from a folder as its source, through a library of theirs (so
# that the package's build target must pass it), with libtorch-cpu, and beside it the package for MPI, which needs none to be alone. It is run as built, published as a single file, and published
# ReadyToRun; each must answer alike. Takes a minute or two; of the network it needs what NuGet has not fetched yet.
set -uo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
root=$PWD
model=${1:-$root/samples/models/tiny-llama-math}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# A version that no other run has, and a folder for our own packages that goes with this run: what an earlier one left is not taken for this
# one. What others have published comes from where this machine keeps it.
version=$(dotnet msbuild src/Microsoft.ML.Sorsa -getProperty:Version)-check.$(date +%s).$$
kept=$(dotnet nuget locals global-packages --list | sed 's/.*: //')
export NUGET_PACKAGES=$folder/own
torch=$(dotnet msbuild build/Packages.props -getProperty:LibTorchVersion)
case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) rid=linux-x64 ;;
    Darwin-arm64) rid=osx-arm64 ;;
    *) echo "consumer-check runs on Linux x64 and macOS arm64: libtorch has no package for $(uname -s) $(uname -m)"; exit 1 ;;
esac

quiet() {
    "$@" >"$folder/log" 2>&1 || { echo "failed: $*"; tail -30 "$folder/log"; exit 1; }
}

for name in Microsoft.ML.Sorsa Microsoft.ML.Sorsa.Mpi; do
    quiet env -u NUGET_PACKAGES dotnet pack "src/$name" -c Release -o "$folder/source" -p:Version="$version" -v q --nologo
    [ -f "$folder/source/$name.$version.nupkg" ] || { echo "no package $name of version $version came out"; exit 1; }
done

mkdir -p "$folder/library" "$folder/program"
cat >"$folder/Directory.Build.props" <<PROJECT
<Project>
  <PropertyGroup>
    <TargetFramework>net10.0</TargetFramework>
    <ImplicitUsings>enable</ImplicitUsings>
    <RestoreAdditionalProjectSources>$folder/source</RestoreAdditionalProjectSources>
    <RestoreFallbackFolders>$kept</RestoreFallbackFolders>
    <CreateHardLinksForCopyLocalIfPossible>true</CreateHardLinksForCopyLocalIfPossible>
    <CreateHardLinksForPublishFilesIfPossible>true</CreateHardLinksForPublishFilesIfPossible>
  </PropertyGroup>
</Project>
PROJECT
cat >"$folder/library/library.csproj" <<PROJECT
<Project Sdk="Microsoft.NET.Sdk">
  <ItemGroup>
    <PackageReference Include="Microsoft.ML.Sorsa" Version="$version" />
  </ItemGroup>
</Project>
PROJECT
cat >"$folder/library/Answers.cs" <<'CODE'
using Microsoft.ML;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Data;

public static class Answers
{
    public static string Of(string folder, string prompt)
    {
        using var model = new MLContext().Sorsa().LoadModel(folder, promptTemplate: PromptTemplate.Format("{prompt}"));
        return model.Generate(prompt);
    }
}
CODE
cat >"$folder/program/program.csproj" <<PROJECT
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="libtorch-cpu-$rid" Version="$torch" />
    <PackageReference Include="Microsoft.ML.Sorsa.Mpi" Version="$version" />
    <ProjectReference Include="../library/library.csproj" />
  </ItemGroup>
</Project>
PROJECT
cat >"$folder/program/Program.cs" <<'CODE'
using var mpi = Microsoft.ML.Sorsa.Mpi.SorsaMpi.Initialize();
Console.WriteLine($"answer: {Answers.Of(args[0], "12 + 5 = ")}, one of {mpi.Count}");
CODE

status=0
expected=""
# A name, and how its program is started.
answers() {
    local name=$1 output
    shift
    output=$(cd "$folder" && "$@" "$model" 2>&1)
    if ! grep -q '^answer: .*17' <<<"$output" || { [ -n "$expected" ] && [ "$output" != "$expected" ]; }; then
        echo "$name: it said:"
        echo "$output" | head -20
        status=1
        return
    fi
    expected=$output
    echo "$name: $output ($SECONDS s)"
}

project=$folder/program/program.csproj
quiet dotnet build "$project" -c Release -v q --nologo
answers "as built" dotnet "$folder/program/bin/Release/net10.0/program.dll"
quiet dotnet publish "$project" -c Release -r "$rid" --self-contained false -p:PublishSingleFile=true -o "$folder/single" -v q --nologo
answers "single file" "$folder/single/program"
[ -f "$folder/single/program.dll" ] && { echo "single file: program.dll lies beside it"; status=1; }
quiet dotnet publish "$project" -c Release -r "$rid" --self-contained false -p:PublishReadyToRun=true -o "$folder/ready" -v q --nologo
answers "ReadyToRun" "$folder/ready/program"
size() { wc -c <"$1/Microsoft.ML.Sorsa.dll"; }
[ "$(size "$folder/ready")" -gt "$(size "$folder/program/bin/Release/net10.0")" ] || { echo "ReadyToRun: nothing was compiled"; status=1; }

# The loader fix of the package's target, where there is one to apply.
if [ "$rid" = linux-x64 ]; then
    for place in program/bin/Release/net10.0 single ready; do
        library=$(find "$folder/$place" -name libLibTorchSharp.so | head -1)
        found=$(find "$folder/program/obj" -path '*torchsharp/libLibTorchSharp.so' -exec cmp -s {} "$library" \; -print | head -1)
        [ -n "$found" ] || { echo "$place: its libLibTorchSharp.so is not the one that the package's target makes"; status=1; }
    done
fi
exit $status
