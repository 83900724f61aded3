using Microsoft.ML.Sorsa.Tests;
using Microsoft.ML.Sorsa.Tests.Models;
using Microsoft.ML.Sorsa.Tests.Training;
using Microsoft.ML.Sorsa.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Benchmarks.Gpu;

/// <summary>The stored answers of transformers, of the authors' trainer and of PEFT, on a device.</summary>
internal static class GoldenChecks
{
    public static void Run(GuardedRows rows, Device device)
    {
        foreach (string folder in Directory.GetDirectories(Path.Combine(Folders.Golden, "models")).Order(StringComparer.Ordinal))
        {
            rows.Run($"model {Path.GetFileName(folder)}", () => Model(folder, device));
        }

        foreach (ScalarType type in new[] { ScalarType.Float32, ScalarType.Float64 })
        {
            foreach (string file in Files("sorsa"))
            {
                rows.Run($"trajectory {Path.GetFileNameWithoutExtension(file)} {type}", () => Sorsa(file, type, device));
            }

            foreach (string file in Files("peft"))
            {
                rows.Run($"trajectory {Path.GetFileNameWithoutExtension(file)} {type}", () => Peft(file, type, device));
            }
        }
    }

    private static string[] Files(string folder) =>
        [.. Directory.GetFiles(Path.Combine(Folders.Golden, folder), "*.json").Order(StringComparer.Ordinal)];

    private static string Model(string folder, Device device)
    {
        using GoldenModel model = GoldenModel.Load(folder, ScalarType.Float32, device);
        double left = model.LogitsOff(), cached = model.CachedOff();
        (double right, double loss, double gradient) = model.TrainingOff();
        double limit = TestDevice.Limit(1e-5, device);
        Check.Within(Math.Max(left, right), limit, "the logits");
        Check.Within(loss, TestDevice.Limit(3e-6, device), "the loss");
        Check.Within(gradient, limit, "a gradient");
        Check.Within(cached, limit, "decoding with a cache");
        return FormattableString.Invariant(
            $"logits {Math.Max(left, right):0.0e0}, loss {loss:0.0e0}, gradients {gradient:0.0e0} relative, with a cache {cached:0.0e0}");
    }

    private static string Sorsa(string file, ScalarType type, Device device)
    {
        using GoldenSorsaRun run = GoldenSorsaRun.Open(file, type, device);
        List<SorsaTrainingProgress> log = run.Train();
        return Verdict(
            Math.Max(run.ParametersOff(), run.MergedOff()), run.Logged("loss"), [.. log.Select(step => step.Loss)], type, device);
    }

    private static string Peft(string file, ScalarType type, Device device)
    {
        using var scope = NewDisposeScope();
        using GoldenRun run = GoldenRun.Open(file, type, device);
        double weight = run.Adapters.Penalty is { InLoss: true } inLoss ? inLoss.Weight : 0;
        var losses = new List<double>();
        new TrainingLoop(run.Model, run.Adapters, run.Options).Run(
            GoldenBatches.Steps(run.Golden, 1), run.Steps, validate: null,
            step => losses.Add(step.Loss + (weight * (step.Orthonormality ?? 0))), CancellationToken.None);
        double parameters = 0;
        foreach ((string name, Parameter value) in run.Adapters.Trainable)
        {
            parameters = Math.Max(parameters, run.Stored("end", name) is { } end ? TensorDifference.Largest(value, end) : 0);
        }

        return Verdict(parameters, run.Golden.Tensors["log.loss"].data<double>().ToArray(), losses, type, device);
    }

    private static string Verdict(double parameters, double[] expected, List<double> losses, ScalarType type, Device device)
    {
        double loss = expected.Zip(losses).Max(pair => Math.Abs(pair.First - pair.Second));
        Check.That(expected.Length == losses.Count, $"{losses.Count} steps were trained, and the run has {expected.Length}");
        Check.Within(parameters, type == ScalarType.Float64 ? 1e-7 : TestDevice.Limit(1e-5, device), "a trained tensor");
        Check.Within(loss, TestDevice.Limit(3e-6, device), "a loss");
        return FormattableString.Invariant($"tensors {parameters:0.0e0}, losses {loss:0.0e0}");
    }
}
