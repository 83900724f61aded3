using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Sweeps.Report;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// An analysis as the paper's Figure 2 draws it: ΔD against ΔΣ, a line a matrix over the steps, with its layer as the mark.
/// </summary>
public static class AnalysisFigure
{
    /// <summary>
    /// The figure as an SVG element for a page, drawn for a light ground (in the dark: <c>filter: invert(1) hue-rotate(180deg)</c>). The
    /// kinds of matrices have the same colours in every figure. The same analysis gives the same text.
    /// </summary>
    /// <param name="analysis">At least one row.</param>
    /// <param name="title">What stands above it; another one for each figure of a page.</param>
    /// <param name="axes">
    /// Where the axes of ΔΣ and ΔD end: the same for figures side by side. Null: at the largest values of this analysis.
    /// </param>
    /// <param name="width">In pixels. Default 568, half of a page; at least 280.</param>
    /// <param name="height">In pixels. Default 460; at least 280.</param>
    /// <exception cref="ArgumentException">The analysis has no rows.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size is too small, or an axis ends at no number above 0.</exception>
    public static string ToSvg(
        SorsaAnalysis analysis, string title, (double SingularValueChange, double SingularVectorChange)? axes = null,
        int width = 568, int height = 460)
    {
        Verify(analysis);
        ArgumentException.ThrowIfNullOrWhiteSpace(title);
        const int Least = 280;
        ArgumentOutOfRangeException.ThrowIfLessThan(width, Least);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, Least);
        if (axes is var (x, y) && !(x > 0 && y > 0 && double.IsFinite(x + y)))
        {
            throw new ArgumentOutOfRangeException(
                nameof(axes), axes, $"axes is {axes}; both must be finite numbers above 0. Leave it null for the largest values.");
        }

        return AnalysisPlot.Svg(analysis, title, isTitled: true, axes, new PlotSize("figure", width, height)).ToString();
    }

    /// <summary>
    /// Writes a page with the figure and the numbers by step and by kind of matrix: one HTML file, no script, nothing fetched, for phones
    /// and for the dark, too. The file is there when it is whole.
    /// </summary>
    /// <param name="analysis">At least one row.</param>
    /// <param name="path">The file, in a folder that is there; it replaces a file of that name.</param>
    /// <param name="title">The page's heading.</param>
    /// <exception cref="ArgumentException">The analysis has no rows.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder must not be written.</exception>
    public static void SaveReport(this SorsaAnalysis analysis, string path, string title = "Singular values and vectors")
    {
        Verify(analysis);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        ArgumentException.ThrowIfNullOrWhiteSpace(title);
        NewFile.Write(path, stream => AnalysisPage.Write(analysis, title, stream));
    }

    private static void Verify(SorsaAnalysis analysis)
    {
        ArgumentNullException.ThrowIfNull(analysis);
        if (analysis.Matrices.Count == 0)
        {
            throw new ArgumentException("The analysis has no rows, so that there is nothing to draw.", nameof(analysis));
        }
    }
}
