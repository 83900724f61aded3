namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>Gives <see cref="SorsaCatalog"/> its <c>CreateExperiment()</c>.</summary>
public static class SorsaCatalogSweepsExtensions
{
    /// <summary>An experiment that looks for the options that train the best model.</summary>
    /// <param name="catalog"><c>mlContext.Sorsa()</c>.</param>
    public static SorsaExperiment CreateExperiment(this SorsaCatalog catalog)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new SorsaExperiment(catalog);
    }
}
