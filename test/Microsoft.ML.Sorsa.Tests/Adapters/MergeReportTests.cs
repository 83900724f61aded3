using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Lora;
using Microsoft.ML.Sorsa.Adapters.Weights;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Adapters;

[TestClass]
[TestCategory("Adapters")]
public sealed class MergeReportTests
{
    /// <summary>Against the values one by one, and a decomposition of the update.</summary>
    [TestMethod]
    [DataRow(ScalarType.BFloat16)]
    [DataRow(ScalarType.Float16)]
    [DataRow(ScalarType.Float32)]
    public void ItTellsOfRoundingAndUpdate(ScalarType stored)
    {
        using var scope = NewDisposeScope();
        CausalLM model = TinyModel.Create();
        var before = model.NamedWeights.ToDictionary(named => named.Key, named => named.Value.detach().clone());
        AdapterSet adapters = TinyModel.Adapt(model);
        Disturb(adapters);

        MergeReport report = MergeReport.Of(adapters, stored);
        var computed = adapters.Adapters.ToDictionary(named => named.Key + ".weight", named => named.Value.MergedWeight());
        adapters.Merge(stored);

        CollectionAssert.AreEquivalent(computed.Keys, report.Matrices.Select(matrix => matrix.Name).ToArray());
        foreach (MatrixMerge matrix in report.Matrices)
        {
            Tensor merged = model.NamedWeights.Single(named => named.Key == matrix.Name).Value, exact = computed[matrix.Name];
            double[] errors = [.. merged.to(ScalarType.Float64).flatten().data<double>()
                .Zip(exact.to(ScalarType.Float64).flatten().data<double>(), (a, b) => a - b)];
            double norm = Math.Sqrt(exact.to(ScalarType.Float64).flatten().data<double>().Sum(value => value * value));
            double[] sigma = [.. linalg.svdvals((exact - before[matrix.Name]).to(ScalarType.Float64)).data<double>()];

            Assert.AreEqual((merged.shape[0], merged.shape[1]), (matrix.Rows, matrix.Columns));
            Assert.AreEqual(errors.Max(Math.Abs), matrix.LargestRoundingError, 1e-9);
            Assert.AreEqual(Math.Sqrt(errors.Sum(error => error * error)) / norm, matrix.RelativeRoundingError, 1e-6);
            Assert.AreEqual(Math.Sqrt(sigma.Sum(value => value * value)), matrix.UpdateNorm, 1e-4 * matrix.UpdateNorm);
            Assert.AreEqual(
                Math.Pow(sigma.Sum(value => value * value), 2) / sigma.Sum(value => Math.Pow(value, 4)),
                matrix.EffectiveRank,
                1e-3 * matrix.EffectiveRank);
            Assert.AreEqual((null, null, null), (matrix.Nf4Error, matrix.Nf4ResidualError, matrix.Nf4InitialError));
        }
    }

    [TestMethod]
    public void WhatDidNotTrainHasNoUpdate()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        CausalLM model = TinyModel.Create();
        AdapterSet adapters = AdapterSet.Inject(
            model, TinyModel.Targets, new LoraMethod { Rank = 2, Scale = 1, Initialization = generator });

        MergeReport report = MergeReport.Of(adapters, ScalarType.Float32);

        Assert.IsTrue(report.Matrices.All(
            matrix => matrix is { UpdateNorm: 0, EffectiveRank: 0, LargestRoundingError: 0, RelativeRoundingError: 0 }));
    }

    [TestMethod]
    public void FullFineTuningHasTheOtherMatricesToo()
    {
        using var scope = NewDisposeScope();
        CausalLM model = TinyModel.Create();
        string[] matrices = [.. model.NamedWeights.Where(named => named.Value.dim() == 2).Select(named => named.Key)];
        AdapterSet adapters = AdapterSet.Inject(model, TinyModel.Targets, new WeightMethod { Everything = true });
        Disturb(adapters);

        MergeReport report = MergeReport.Of(adapters, ScalarType.Float32);

        CollectionAssert.AreEquivalent(matrices, report.Matrices.Select(matrix => matrix.Name).ToArray());
        Assert.IsTrue(report.Matrices.All(matrix => matrix.UpdateNorm > 0 && matrix.EffectiveRank > 1));
    }

    [TestMethod]
    public void TheTableIsWrittenWithExactNumbers()
    {
        using var scope = NewDisposeScope();
        using var folder = new TemporaryFolder();
        CausalLM model = TinyModel.Create();
        AdapterSet adapters = TinyModel.Adapt(model);
        Disturb(adapters);
        MergeReport report = MergeReport.Of(adapters, ScalarType.BFloat16);
        string path = Path.Combine(folder.Path, "merge.csv");
        File.WriteAllText(path, "older");

        report.Save(path);

        string[] lines = File.ReadAllLines(path);
        string[] names = lines[0].Split(',');
        Assert.HasCount(report.Matrices.Count + 1, lines);
        foreach ((string line, MatrixMerge matrix) in lines.Skip(1).Zip(report.Matrices))
        {
            string[] cells = line.Split(',');
            Assert.AreEqual(matrix.Name, cells[Array.IndexOf(names, "matrix")]);
            Assert.AreEqual(matrix.LargestRoundingError, Number("largest_rounding_error"));
            Assert.AreEqual(matrix.RelativeRoundingError, Number("relative_rounding_error"));
            Assert.AreEqual(matrix.UpdateNorm, Number("update_norm"));
            Assert.AreEqual(matrix.EffectiveRank, Number("effective_rank"));
            Assert.AreEqual("", cells[Array.IndexOf(names, "nf4_error")]);

            double Number(string name) => double.Parse(cells[Array.IndexOf(names, name)], CultureInfo.InvariantCulture);
        }

        Assert.HasCount(1, Directory.GetFileSystemEntries(folder.Path));
        Assert.Contains("14 matrices in BFloat16", report.ToString());
    }

    private static void Disturb(AdapterSet adapters)
    {
        using var noGrad = no_grad();
        using var generator = new Generator(13);
        foreach (var (_, parameter) in adapters.Trainable)
        {
            parameter.Accumulate(randn(parameter.shape, parameter.dtype, generator: generator).Scale(0.05));
        }
    }
}
