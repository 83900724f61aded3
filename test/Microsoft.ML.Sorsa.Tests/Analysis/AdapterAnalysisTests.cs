using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tests.Models;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Analysis;

/// <summary>What is read of adapters: their weights and factors, against plain loops.</summary>
[TestClass]
[TestCategory("Analysis")]
public sealed class AdapterAnalysisTests
{
    [TestMethod]
    public void WeightsAndFactorsAreThoseOfTheAdapters()
    {
        using var scope = NewDisposeScope();
        using CausalLM model = TinyModel.Create();
        AdapterSet adapters = TinyModel.Adapt(model, scale: 0.5);
        using (no_grad())
        using (var generator = new Generator(8))
        {
            foreach ((_, Parameter parameter) in adapters.Trainable)
            {
                parameter.Accumulate(randn(parameter.shape, ScalarType.Float32, generator: generator).Scale(0.05));
            }
        }

        var rows = new List<MatrixAnalysis>();
        new AdapterAnalysis(adapters, new AnalysisOptions(), _ => { }).Measure(7, rows, CancellationToken.None);

        Assert.HasCount(14, rows);
        foreach ((MatrixAnalysis row, (string path, Adapter adapter)) in rows.Zip(adapters.Adapters))
        {
            Dictionary<string, Tensor> trained = adapter.Trainable.ToDictionary(
                named => named.Key, named => named.Value.detach().to(ScalarType.Float64));
            Assert.AreEqual((7, path), (row.Step, row.Path));
            Assert.AreEqual(Deviation(trained["U"].t()) + Deviation(trained["Vt"]), row.Orthonormality!.Value, 1e-12, path);

            MatrixComparison expected = MatrixComparisonTests.Compare(adapter.InitialWeight(), adapter.MergedWeight());
            Assert.AreEqual(expected.ToRow(7, path, row.Orthonormality), row);
            Assert.IsGreaterThan(0, row.SingularVectorChange);
        }
    }

    /// <summary>‖M Mᵀ − I‖_F over the rows of a matrix.</summary>
    private static double Deviation(Tensor rows)
    {
        double[][] vectors = [.. Enumerable.Range(0, (int)rows.shape[0]).Select(i => rows[i].contiguous().data<double>().ToArray())];
        double sum = 0;
        for (int i = 0; i < vectors.Length; i++)
        {
            for (int j = 0; j < vectors.Length; j++)
            {
                double entry = JacobiSvd.Dot(vectors[i], vectors[j]) - (i == j ? 1 : 0);
                sum += entry * entry;
            }
        }

        return Math.Sqrt(sum);
    }
}
