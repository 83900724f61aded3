#!/usr/bin/env bash
# The tests that compare numbers, with kernels that other processors would choose: sums come out in another order, and no limit may hang on it.
# MKL_ENABLE_INSTRUCTIONS does nothing on AMD's processors; MKL_CBWR changes MKL's kernels on every one.
set -uo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
# The areas: decompositions, SORSA, the other methods, PEFT's files, NF4, merges, models, types, reference trainings.
areas="FullyQualifiedName~Tests.Adapters.|FullyQualifiedName~Tests.Models.|FullyQualifiedName~Tests.Types.|FullyQualifiedName~Trajectory|FullyQualifiedName~ForeignModelsTraining"
project=test/Microsoft.ML.Sorsa.Tests
dotnet build "$project" -v q || exit 1
program=$(dotnet msbuild "$project" -getProperty:TargetDir -v:q)Microsoft.ML.Sorsa.Tests
status=0

with() {
    echo "Numeric tests with $*"
    env "$@" "$program" --filter "$areas" --no-progress --minimum-expected-tests 300 || status=1
}

with MKL_CBWR=COMPATIBLE ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 DOTNET_EnableAVX2=0 OMP_NUM_THREADS=1
# This processor has no products of 16 bits, either: what that means for memory, and with gradient checkpointing.
areas="$areas|FullyQualifiedName~EstimateTests|FullyQualifiedName~CheckpointingTests"
with MKL_CBWR=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 DOTNET_EnableAVX512=0 OMP_NUM_THREADS=2
exit $status
