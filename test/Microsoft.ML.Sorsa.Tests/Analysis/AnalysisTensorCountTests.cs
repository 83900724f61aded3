using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tests.Models;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Tests.Analysis;

/// <summary>Tensors are counted per process, so nothing else may run.</summary>
[TestClass]
[TestCategory("Analysis")]
[DoNotParallelize]
public sealed class AnalysisTensorCountTests
{
    [TestMethod]
    public void AnAnalysisLeavesNoTensorBehind()
    {
        using CausalLM model = TinyModel.Create(bias: true);
        AdapterSet adapters = TinyModel.Adapt(model);
        var lines = new List<string>();
        var rows = new List<MatrixAnalysis>();
        var analysis = new AdapterAnalysis(adapters, new AnalysisOptions(), lines.Add);
        for (int i = 0; i < 3; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }

        long before = Tensor.TotalCount;

        analysis.Measure(1, rows, CancellationToken.None);
        analysis.Measure(2, rows, CancellationToken.None);

        Assert.AreEqual(before, Tensor.TotalCount);
        Assert.HasCount(2 * 14, rows);
        Assert.HasCount(2, lines);
        Assert.Contains("14 matrices", lines[0]);
        Assert.ThrowsExactly<OperationCanceledException>(() => analysis.Measure(3, rows, new CancellationToken(canceled: true)));
        Assert.HasCount(2 * 14, rows);
    }
}
