using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Analysis;

/// <summary>
/// Looks at the adapted matrices of a training at the steps that the options choose, and changes nothing: W_t is the weight that an adapter
/// would merge to, W_0 the one that it started from (over a quantised base what the quantisation left). One matrix is in memory at a time:
/// W_0 is decomposed anew at every look, since keeping the decompositions would take twice the matrices' own size in float64.
/// </summary>
/// <param name="adapters">What trains; not owned.</param>
/// <param name="options">Checked.</param>
/// <param name="report">Told a line for every look.</param>
internal sealed class AdapterAnalysis(AdapterSet adapters, AnalysisOptions options, Action<string> report)
{
    /// <summary>Whether a step is one to look at.</summary>
    public bool IsDue(int step, bool isLast) => isLast || (options.Steps is { } every && step % every == 0);

    /// <summary>Adds a row for every matrix, all or none.</summary>
    /// <param name="step">Optimizer steps that are done.</param>
    /// <param name="rows">Those of all steps so far.</param>
    /// <param name="cancellationToken">Checked before every matrix.</param>
    /// <exception cref="OperationCanceledException">Nothing was added.</exception>
    public void Measure(int step, List<MatrixAnalysis> rows, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        var measured = new List<MatrixAnalysis>();
        foreach ((string path, Adapter adapter) in adapters.Adapters.Where(named => IsChosen(named.Key)))
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            MatrixComparison comparison = MatrixComparison.Of(
                adapter.InitialWeight(), adapter.MergedWeight(), options.IntruderCandidates, options.IntruderThreshold);
            measured.Add(comparison.ToRow(step, path, Deviation(adapter.OrthonormalFactors)));
        }

        rows.AddRange(measured);
        report(string.Create(CultureInfo.InvariantCulture,
            $"{SorsaAnalysis.Summary(step, measured)} It took {clock.Elapsed.TotalSeconds:F1} s."));
    }

    private bool IsChosen(string path) => options.TargetModules?.Contains(path[(path.LastIndexOf('.') + 1)..]) ?? true;

    /// <summary>The sum of ‖UᵀU − I‖_F over an adapter's factors, in float64; null where it has none.</summary>
    private static double? Deviation(IReadOnlyList<OrthonormalFactor> factors)
    {
        if (factors.Count == 0)
        {
            return null;
        }

        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        return factors.Sum(factor =>
        {
            Tensor matrix = factor.Matrix.detach().to(ScalarType.Float64), columns = factor.Rows ? matrix.t() : matrix;
            Tensor deviation = columns.t().mm(columns);
            deviation.diagonal().Shift(-1.0);
            return deviation.norm().item<double>();
        });
    }
}
