using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.DataViews;
using Microsoft.ML.Sorsa.Persistence;
using Microsoft.ML.Sorsa.Tests.DataViews;

[assembly: LoadableClass(typeof(ShoutTransformer), null, typeof(SignatureLoadModel), "", ShoutTransformer.LoaderSignature)]

namespace Microsoft.ML.Sorsa.Tests.DataViews;

/// <summary>
/// Stands for a transformer with a language model in it: upper-cases a text, counts its calls, and keeps two entries of its own in the
/// model zip, one read at once and one as a stream.
/// </summary>
internal sealed class ShoutTransformer : ITransformer
{
    public const string LoaderSignature = "SorsaTestShout";
    public const string TokenizerEntry = "tokenizer.json", WeightsEntry = "model.safetensors";

    private readonly TextColumnMapper _mapper;

    public ShoutTransformer(
        string outputColumnName, string inputColumnName, int batchSize = 4, byte[]? tokenizer = null, byte[]? weights = null)
    {
        _mapper = new TextColumnMapper(outputColumnName, inputColumnName, batchSize, () => Shout, "PromptColumnName");
        Tokenizer = tokenizer ?? "{}"u8.ToArray();
        Weights = weights ?? [1, 2, 3];
    }

    public byte[] Tokenizer { get; }

    public byte[] Weights { get; }

    /// <summary>The sizes of the batches so far, in order.</summary>
    public List<int> Batches { get; } = [];

    bool ITransformer.IsRowToRowMapper => true;

    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => _mapper.GetOutputSchema(inputSchema);

    public IDataView Transform(IDataView input) => _mapper.Transform(input);

    public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => _mapper.GetRowToRowMapper(inputSchema);

    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        ctx.CheckAtModel();
        ctx.SetVersionInfo(Version());
        ctx.SaveNonEmptyString(_mapper.OutputColumnName);
        ctx.SaveNonEmptyString(_mapper.InputColumnName);
        ctx.Writer.Write(_mapper.BatchSize);
        ArchiveWriter.WriteStored(ctx, TokenizerEntry, stream => stream.Write(Tokenizer));
        ArchiveWriter.WriteStored(ctx, WeightsEntry, stream => stream.Write(Weights));
    }

    private static ShoutTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        ctx.CheckAtModel(Version());
        string output = ctx.LoadNonEmptyString(), input = ctx.LoadNonEmptyString();
        int batchSize = ctx.Reader.ReadInt32();
        byte[] tokenizer = ArchiveReader.ReadBytes(ctx, TokenizerEntry);
        using Stream weights = ArchiveReader.OpenStream(ctx, WeightsEntry, out _);
        var copy = new MemoryStream();
        weights.CopyTo(copy);
        return new ShoutTransformer(output, input, batchSize, tokenizer, copy.ToArray());
    }

    private static VersionInfo Version() => new(
        modelSignature: "SHOUTTST", verWrittenCur: 0x00010001, verReadableCur: 0x00010001, verWeCanReadBack: 0x00010001,
        loaderSignature: LoaderSignature, loaderAssemblyName: typeof(ShoutTransformer).Assembly.GetName().Name!);

    private ComputedText[] Shout(IReadOnlyList<string> texts)
    {
        lock (Batches)
        {
            Batches.Add(texts.Count);
        }

        return [.. texts.Select(text => new ComputedText(text.ToUpperInvariant()))];
    }
}
