using System.Globalization;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Analysis;

/// <summary>
/// How far singular values and vectors of a model's matrices moved: of a training (<see cref="SorsaTransformer.Analysis"/>), or of two
/// models (<c>mlContext.Sorsa().Analyze</c>). docs/analysis.md says how to read it.
/// </summary>
public sealed class SorsaAnalysis
{
    /// <summary>An analysis of rows that are there: those of several, or some of one.</summary>
    /// <param name="matrices">By step; copied.</param>
    public SorsaAnalysis(IEnumerable<MatrixAnalysis> matrices)
    {
        ArgumentNullException.ThrowIfNull(matrices);
        Matrices = [.. matrices];
    }

    /// <summary>A row for every matrix at every step that was looked at: by step, then in the order of the model.</summary>
    public IReadOnlyList<MatrixAnalysis> Matrices { get; }

    /// <summary>Reads what <see cref="SaveJson"/> wrote.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="IOException">It is not there, or cannot be read.</exception>
    /// <exception cref="InvalidDataException">It is no analysis, or a value in it is none that an analysis can have.</exception>
    public static SorsaAnalysis Load(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        return new SorsaAnalysis(AnalysisFile.ReadJson(path));
    }

    /// <summary>
    /// Writes the table as comma-separated values (UTF-8), a line for every row: step, path, layer, module, ΔΣ, ΔD, orthonormality,
    /// effective rank, intruder dimensions; what does not apply is empty. Numbers to their last bit. The file is there when it is whole.
    /// </summary>
    /// <param name="path">The file, in a folder that is there; it replaces a file of that name.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder must not be written.</exception>
    public void SaveCsv(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        NewFile.Write(path, stream => AnalysisFile.WriteCsv(stream, Matrices));
    }

    /// <summary>Writes the same as JSON, which <see cref="Load"/> reads. The file is there when it is whole.</summary>
    /// <inheritdoc cref="SaveCsv"/>
    public void SaveJson(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        NewFile.Write(path, stream => AnalysisFile.WriteJson(stream, Matrices));
    }

    /// <summary>A line for every step: the means over its matrices.</summary>
    public override string ToString() =>
        string.Join(Environment.NewLine, Matrices.GroupBy(row => row.Step).Select(step => Summary(step.Key, [.. step])));

    /// <summary>One line: the means over the matrices of one step.</summary>
    internal static string Summary(int step, IReadOnlyList<MatrixAnalysis> matrices)
    {
        string place = step == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $" at step {step}");
        return string.Create(CultureInfo.InvariantCulture,
            $"Analysis{place}: {matrices.Count} matrices, on average ΔΣ {matrices.Average(row => row.SingularValueChange):G3}, ")
            + string.Create(CultureInfo.InvariantCulture,
            $"ΔD {matrices.Average(row => row.SingularVectorChange):G3}, effective rank of the update "
            + $"{matrices.Average(row => row.EffectiveRank):F1}; {matrices.Sum(row => row.IntruderDimensions)} intruder dimensions.");
    }
}
