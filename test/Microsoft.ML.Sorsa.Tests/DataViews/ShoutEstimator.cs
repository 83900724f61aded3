using Microsoft.ML;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.DataViews;

namespace Microsoft.ML.Sorsa.Tests.DataViews;

/// <summary>A trainer of text transformers that learns nothing: the shape of ours around <see cref="ShoutTransformer"/>.</summary>
internal sealed class ShoutEstimator(string outputColumnName, string inputColumnName, int batchSize = 4) : IEstimator<ShoutTransformer>
{
    private readonly List<ShoutTransformer> _fitted = [];

    public IReadOnlyList<ShoutTransformer> Fitted => _fitted;

    public ShoutTransformer Fit(IDataView input)
    {
        GetOutputSchema(SchemaShape.Create(input.Schema));
        var transformer = new ShoutTransformer(outputColumnName, inputColumnName, batchSize);
        _fitted.Add(transformer);
        return transformer;
    }

    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        TextColumns.Check(inputSchema, "PromptColumnName", inputColumnName);
        return TextColumns.Append(inputSchema, outputColumnName);
    }
}
