using System.Globalization;
using System.Text;
using Microsoft.ML.Sorsa.Adapters.Quantization;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Files;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Adapters;

/// <summary>What training did to each matrix, and what the merge's rounding costs: known before anything is written.</summary>
public sealed class MergeReport
{
    private const string Header = "matrix,rows,columns,largest_rounding_error,relative_rounding_error,update_norm,effective_rank,"
        + "nf4_error,nf4_residual_error,nf4_initial_error";

    private readonly string _storedType;

    private MergeReport(IReadOnlyList<MatrixMerge> matrices, string storedType)
    {
        Matrices = matrices;
        _storedType = storedType;
    }

    /// <summary>The matrices that trained, in the order of the model.</summary>
    public IReadOnlyList<MatrixMerge> Matrices { get; }

    /// <summary>One line: the largest errors and the range of the updates.</summary>
    public override string ToString()
    {
        double largest = Matrices.Max(matrix => matrix.LargestRoundingError);
        double relative = Matrices.Max(matrix => matrix.RelativeRoundingError);
        (double Least, double Most) norm = Range(matrix => matrix.UpdateNorm), rank = Range(matrix => matrix.EffectiveRank);
        return string.Create(CultureInfo.InvariantCulture,
            $"Merge of {Matrices.Count} matrices in {_storedType}: largest rounding error {largest:G3}, relative {relative:G3}; ")
            + string.Create(CultureInfo.InvariantCulture,
            $"updates of norm {norm.Least:G3} to {norm.Most:G3}, of effective rank {rank.Least:F1} to {rank.Most:F1}.");

        (double Least, double Most) Range(Func<MatrixMerge, double> value) => (Matrices.Min(value), Matrices.Max(value));
    }

    /// <summary>
    /// Writes the table as comma-separated values, a line per matrix; what does not apply is empty. An existing file is replaced.
    /// </summary>
    /// <param name="path">The file; it appears when it is whole.</param>
    public void Save(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        string table = string.Concat(Matrices.Select(Line).Prepend(Header).Select(line => line + Environment.NewLine));
        NewFile.Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(table)));
    }

    /// <summary>Looks at what a merge in this type would give; changes nothing.</summary>
    internal static MergeReport Of(AdapterSet adapters, ScalarType storedType)
    {
        using var noGrad = no_grad();
        var matrices = new List<MatrixMerge>();
        foreach ((string path, Adapter adapter) in adapters.Adapters)
        {
            using var scope = NewDisposeScope();
            matrices.Add(Measure(path + ".weight", adapter.InitialWeight(), adapter.MergedWeight(), storedType, adapter.QuantizationError));
        }

        foreach ((string name, Tensor initial, Tensor weight) in adapters.TrainedWeights.Where(weight => weight.Weight.dim() == 2))
        {
            using var scope = NewDisposeScope();
            matrices.Add(Measure(name, initial, weight, storedType, null));
        }

        return new MergeReport(matrices, storedType.ToString());
    }

    private static MatrixMerge Measure(string name, Tensor initial, Tensor merged, ScalarType storedType, QuantizationError? quantization)
    {
        Tensor error = merged.to(storedType).to(merged.dtype) - merged, update = merged - initial;
        Tensor gram = update.shape[0] <= update.shape[1] ? update.mm(update.t()) : update.t().mm(update);
        double norm = Norm(update), fourth = Norm(gram);
        return new MatrixMerge
        {
            Name = name,
            Rows = merged.shape[0],
            Columns = merged.shape[1],
            LargestRoundingError = error.abs().max().to(ScalarType.Float64).item<double>(),
            RelativeRoundingError = Ratio(Norm(error), Norm(merged)),
            UpdateNorm = norm,
            EffectiveRank = Ratio(norm * norm * norm * norm, fourth * fourth),
            Nf4Error = quantization?.Plain,
            Nf4ResidualError = quantization?.Residual,
            Nf4InitialError = quantization?.Initial,
        };

        static double Norm(Tensor tensor) => tensor.norm().to(ScalarType.Float64).item<double>();

        static double Ratio(double part, double whole) => whole == 0 ? 0 : part / whole;
    }

    private static string Line(MatrixMerge matrix) => string.Join(
        ',',
        matrix.Name,
        Text(matrix.Rows), Text(matrix.Columns),
        Text(matrix.LargestRoundingError), Text(matrix.RelativeRoundingError), Text(matrix.UpdateNorm), Text(matrix.EffectiveRank),
        Text(matrix.Nf4Error), Text(matrix.Nf4ResidualError), Text(matrix.Nf4InitialError));

    private static string Text(double? value) => value is { } number ? number.ToString("R", CultureInfo.InvariantCulture) : "";
}

/// <summary>A matrix of a merge.</summary>
public sealed record MatrixMerge
{
    /// <summary>Its name in the checkpoint, such as model.layers.0.self_attn.q_proj.weight.</summary>
    public required string Name { get; init; }

    /// <summary>out.</summary>
    public required long Rows { get; init; }

    /// <summary>in.</summary>
    public required long Columns { get; init; }

    /// <summary>max |stored − computed| over its values.</summary>
    public required double LargestRoundingError { get; init; }

    /// <summary>‖stored − computed‖_F / ‖computed‖_F.</summary>
    public required double RelativeRoundingError { get; init; }

    /// <summary>‖ΔW‖_F, of what training changed.</summary>
    public required double UpdateNorm { get; init; }

    /// <summary>
    /// How many singular values of ΔW count: (Σσ²)² / Σσ⁴, the participation ratio. 1 where one direction has everything, n where n are
    /// equal, 0 where nothing changed.
    /// </summary>
    public required double EffectiveRank { get; init; }

    /// <summary>
    /// Where W itself was quantised, ‖W − NF4(W)‖_F / ‖W‖_F; otherwise null, in SORSA and PiSSA too, which quantise what is left beside the
    /// trained part.
    /// </summary>
    public double? Nf4Error { get; init; }

    /// <summary>
    /// Where SORSA or PiSSA had a quantised base, the same error where only what is left beside the trained part is quantised, once;
    /// otherwise null.
    /// </summary>
    public double? Nf4ResidualError { get; init; }

    /// <summary>The error that training started from, after QuantizationRounds; otherwise null.</summary>
    public double? Nf4InitialError { get; init; }
}
