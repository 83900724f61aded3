using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Analysis;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.DataViews;
using Microsoft.ML.Sorsa.Evaluation.Likelihoods;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.FineTuning;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Gguf;
using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Persistence;
using Microsoft.ML.Sorsa.Reports;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Training;
using static TorchSharp.torch;

[assembly: LoadableClass(typeof(SorsaTransformer), null, typeof(SignatureLoadModel), "", SorsaTransformer.LoaderSignature)]

namespace Microsoft.ML.Sorsa;

/// <summary>
/// A language model as an ML.NET transformer: a prompt column in, an answer column out. It holds the merged, plain model, and works in
/// pipelines, in <see cref="PredictionEngine{TSrc, TDst}"/> and in model zips (<c>mlContext.Model.Save</c> and <c>Load</c>) as any other.
/// Over a model object of the user's own class it works alike, but for saving.
/// </summary>
/// <remarks>
/// Transform is lazy and works in batches of <see cref="GenerationOptions.BatchSize"/> rows. Calls from several threads take turns.
/// Dispose frees the model's memory, which the garbage collector does not see; a model object of the user's stays as it is.
/// </remarks>
public sealed class SorsaTransformer : ITransformer, IDisposable
{
    internal const string LoaderSignature = "SorsaTextTransformer";

    private readonly IHost _host;
    private readonly TextGenerator _generator;
    private readonly TextColumnMapper _mapper;
    private readonly AdapterTurns _turns;
    private readonly TextModel? _model;
    private readonly ILanguageModel _languageModel;
    private readonly PromptEncoder _prompts;
    private readonly string? _whyNotSaved;

    internal SorsaTransformer(IHostEnvironment env, TextModel model)
        : this(env, new CachedModel(model.Network), model, model.Prompts, model.Generation, model.PromptColumnName, model.OutputColumnName)
    {
    }

    /// <summary>Over what training gave; frees it where that fails.</summary>
    internal static SorsaTransformer Over(
        IHostEnvironment env, FineTunedModel model, PromptEncoder prompts, FineTuningSettings settings)
    {
        try
        {
            return new SorsaTransformer(env, model, prompts, settings);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Over what training gave: a network of ours, which is owned, or a model that is not ours, which can do all but be saved.
    /// </summary>
    internal SorsaTransformer(IHostEnvironment env, FineTunedModel model, PromptEncoder prompts, FineTuningSettings settings)
        : this(
            env, model.Model,
            model.Network is not { } network ? null : new TextModel(
                network, prompts, settings.Generation, model.SavedType, settings.PromptColumnName, settings.OutputColumnName),
            prompts, settings.Generation, settings.PromptColumnName, settings.OutputColumnName)
    {
        _whyNotSaved = model.WhyNotSaved;
        MergeReport = model.Report;
        Analysis = model.Analysis;
        Training = model.Training;
        Trained = model.Adapter;
    }

    private SorsaTransformer(
        IHostEnvironment env, ILanguageModel model, TextModel? saved, PromptEncoder prompts, GenerationOptions generation,
        string promptColumnName, string outputColumnName)
    {
        _host = env.Register(nameof(SorsaTransformer));
        _model = saved;
        _languageModel = model;
        _prompts = prompts;
        _turns = new AdapterTurns(typeof(SorsaTransformer), saved?.Network, saved?.SavedType ?? default);
        _generator = new TextGenerator(model, prompts, generation, new CutPromptWarning(_host, prompts.MaxLength).Tell);
        _mapper = new TextColumnMapper(
            outputColumnName, promptColumnName, generation.BatchSize, OfActive, nameof(FineTuningSettings.PromptColumnName));
    }

    bool ITransformer.IsRowToRowMapper => true;

    /// <summary>
    /// What training did to each matrix and what rounding it cost; null where the model was not trained here, but loaded.
    /// </summary>
    public MergeReport? MergeReport { get; internal init; }

    /// <summary>
    /// How singular values and vectors moved in training; null without <see cref="SorsaFineTuningTrainer.Options.Analysis"/>, and where the
    /// model was loaded: it is no part of what is saved.
    /// </summary>
    public SorsaAnalysis? Analysis { get; }

    /// <summary>What the training was: base, data, options and curves; null where the model was loaded: no part of what is saved.</summary>
    public SorsaTrainingRecord? Training { get; }

    /// <summary>The adapters that were loaded onto this base, in ordinal order.</summary>
    public IReadOnlyList<string> AdapterNames => _turns.Names;

    /// <summary>The adapter that is in use; null: the base alone.</summary>
    public string? ActiveAdapter => _turns.Active;

    /// <summary>The column of text that it reads.</summary>
    internal string PromptColumnName => _mapper.InputColumnName;

    /// <summary>The column of text that it adds.</summary>
    internal string OutputColumnName => _mapper.OutputColumnName;

    /// <summary>What was trained here, apart from its base; null where the model was not trained here, or has no adapter.</summary>
    internal AdapterWeights? Trained { get; init; }

    /// <summary>What it is made of, and what is saved of it.</summary>
    /// <exception cref="NotSupportedException">The model is an object of the user's own class.</exception>
    internal TextModel Model => _model ?? throw new NotSupportedException(
        $"The model is an object of your own class, and {_whyNotSaved}. Save the weights of your object itself (module.save), or fine-tune "
        + "its folder without the object (ModelFolder in the options): such a model is saved whole.");

    /// <summary>The answer to one prompt, with the adapter that is in use.</summary>
    /// <param name="prompt">The prompt, without its template.</param>
    /// <exception cref="ArgumentException">The prompt leaves no room in the model's positions.</exception>
    public string Generate(string prompt)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        return Generate(prompt, () => ActiveAdapter);
    }

    /// <summary>
    /// The answer to one prompt with an adapter of its own: which one others use stays as it is. Several threads may each name theirs.
    /// </summary>
    /// <param name="prompt">The prompt, without its template.</param>
    /// <param name="adapter">
    /// The name that it was loaded under; null: the model without adapter. Where the call before had another one, merging this one is part
    /// of the call: as long as <see cref="UseAdapter"/> takes.
    /// </param>
    /// <exception cref="ArgumentException">
    /// There is no adapter of this name, or the prompt leaves no room in the model's positions.
    /// </exception>
    public string Generate(string prompt, string? adapter)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        return Generate(prompt, () => _turns.Loaded(adapter));
    }

    /// <summary>
    /// The answer to one prompt in pieces, each as soon as it is certain; all together they are what <see cref="Generate(string)"/> gives.
    /// </summary>
    /// <param name="prompt">The prompt, without its template.</param>
    /// <param name="cancellationToken">Checked before every token.</param>
    /// <exception cref="ArgumentException">The prompt leaves no room in the model's positions.</exception>
    /// <remarks>
    /// The whole answer is that of the adapter which is in use when the first piece is asked for, whatever <see cref="UseAdapter"/> does
    /// meanwhile. Where others use another adapter between two pieces, each change costs a merge, which takes as long as several tokens:
    /// streams with different adapters side by side are slow.
    /// </remarks>
    public IEnumerable<string> Stream(string prompt, CancellationToken cancellationToken = default) =>
        Stream(prompt, () => ActiveAdapter, cancellationToken);

    /// <summary>The same with an adapter of its own, as <see cref="Generate(string, string?)"/> has it.</summary>
    /// <param name="prompt">The prompt, without its template.</param>
    /// <param name="adapter">The name that it was loaded under; null: the model without adapter.</param>
    /// <param name="cancellationToken">Checked before every token.</param>
    /// <exception cref="ArgumentException">
    /// There is no adapter of this name, or the prompt leaves no room in the model's positions.
    /// </exception>
    public IEnumerable<string> Stream(string prompt, string? adapter, CancellationToken cancellationToken = default)
    {
        _turns.Loaded(adapter);
        return Stream(prompt, () => adapter, cancellationToken);
    }

    /// <summary>
    /// Writes the model as ML.NET's model zip, which <c>mlContext.Sorsa().LoadZip</c> and <c>mlContext.Model.Load</c> read. The file is
    /// there when it is whole: written beside its place, to the disk, then renamed. (<c>mlContext.Model.Save</c> writes the same zip to
    /// the name itself: killed, or on a full disk, it leaves a file that cannot be read where a good one may have been.)
    /// </summary>
    /// <param name="path">The file, in a folder that is there; it replaces a file of that name.</param>
    /// <param name="inputSchema">
    /// The columns that a program will give to the model, as <c>mlContext.Model.Load</c> hands them out; null: the prompt column alone.
    /// </param>
    /// <exception cref="IOException">The file cannot be written: its folder is not there, the disk is full, ...</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder must not be written.</exception>
    /// <exception cref="NotSupportedException">The model is an object of the user's own class.</exception>
    public void Save(string path, DataViewSchema? inputSchema = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        _turns.TakeActive(() =>
            ModelZipFile.Write(
                _host, this, inputSchema ?? TextColumns.Schema(Model.PromptColumnName), path, Model.WeightBytes));
    }

    /// <summary>Writes the model as a folder that any Hugging Face tool reads, with a model card (README.md) in it.</summary>
    /// <param name="folder">A new folder, or an empty one. It appears when everything in it is written.</param>
    /// <exception cref="ArgumentException">The folder exists and is not empty.</exception>
    /// <exception cref="NotSupportedException">The model is an object of the user's own class.</exception>
    public void SaveHuggingFace(string folder)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        Write((model, _) => HuggingFaceFolder.Write(model, folder, Card()));
    }

    /// <summary>
    /// Writes what was trained, or the loaded adapter that is in use, apart from its base, with a model card beside it.
    /// </summary>
    /// <param name="folder">A new folder, or an empty one (Gguf: a file). It appears when everything in it is written.</param>
    /// <param name="format">How.</param>
    /// <exception cref="ArgumentException">The folder exists and is not empty.</exception>
    /// <exception cref="InvalidOperationException">
    /// The model was not trained here, or by full or partial fine-tuning, which has no adapter; and no loaded one is in use.
    /// </exception>
    /// <exception cref="NotSupportedException">The format does not have the method.</exception>
    /// <exception cref="ArithmeticException">A value is not finite, and the format is Gguf.</exception>
    public void SaveAdapter(string folder, AdapterFormat format = AdapterFormat.Sorsa)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        OptionRange.VerifyDefined(format, nameof(format));
        _turns.Take(() =>
        {
            AdapterWeights weights = Trained ?? InUse() ?? throw new InvalidOperationException(
                "There is no adapter to save: a transformer that Fit gave has one, of a model from a folder and not from full or partial " +
                "fine-tuning, and one with a loaded adapter in use. Save the whole model with SaveHuggingFace or mlContext.Model.Save.");
            Action<AdapterWeights, string, byte[]?> write = format switch
            {
                AdapterFormat.Peft => PeftFolder.Write,
                AdapterFormat.LoraDifference => PeftFolder.WriteDifference,
                AdapterFormat.Gguf => (adapter, path, _) => LoraFile.Write(adapter, Model.Network.Config, path),
                _ => AdapterFolder.Write,
            };
            write(weights, folder, Card(format));
        });
    }

    /// <summary>
    /// Loads an adapter onto this base, for <see cref="UseAdapter"/>. The base stays in memory once, however many adapters there are.
    /// </summary>
    /// <param name="name">What to call it here.</param>
    /// <param name="folder">
    /// A folder that <see cref="SaveAdapter"/> wrote, or one in PEFT's format with LoRA, rsLoRA, DoRA or PiSSA.
    /// </param>
    /// <exception cref="ArgumentException">The name is empty or taken.</exception>
    /// <exception cref="IOException">The folder or one of its files is not there.</exception>
    /// <exception cref="InvalidDataException">
    /// A file is corrupt or was altered, or the adapter belongs to another base; what does not fit is listed.
    /// </exception>
    /// <exception cref="NotSupportedException">Another method, or options or tensors of PEFT's that are not supported.</exception>
    /// <exception cref="InvalidOperationException">This transformer was trained: its base is not there any more.</exception>
    public void LoadAdapter(string name, string folder)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        if (MergeReport is not null)
        {
            throw new InvalidOperationException(
                "The model was trained here, and its weights are merged: an adapter belongs onto the base. " +
                "Open the base with mlContext.Sorsa().LoadModel.");
        }

        _turns.Add(name, () => AdapterReader.Read(folder), folder);
    }

    /// <summary>
    /// Answers with this adapter from now on. Takes as long as merging it; the base is not read again. A stream that is under way goes on
    /// with its own, and so do the rows of a cursor over transformed data that is open.
    /// </summary>
    /// <param name="name">The name that it was loaded under; null: the base alone.</param>
    /// <exception cref="ArgumentException">There is no adapter of this name.</exception>
    public void UseAdapter(string? name) => _turns.Use(name);

    /// <inheritdoc/>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => _mapper.GetOutputSchema(inputSchema);

    /// <inheritdoc/>
    public IDataView Transform(IDataView input)
    {
        using IChannel channel = _host.Start(nameof(Transform));
        TextColumns.WarnOfHidden(channel, input.Schema, _mapper.OutputColumnName);
        return _mapper.Transform(input);
    }

    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) => _mapper.GetRowToRowMapper(inputSchema);

    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        ctx.CheckAtModel();
        ctx.SetVersionInfo(Version());
        try
        {
            _turns.TakeActive(() => ModelZip.Save(ctx, Model));
        }
        catch
        {
            UnfinishedZip.Remove(ctx);
            throw;
        }
    }

    /// <summary>Frees the model, once a call that is under way is done. A model object of the user's is not touched.</summary>
    public void Dispose() => _turns.Dispose(() =>
    {
        Trained?.Dispose();
        _model?.Network.Dispose();
    });

    /// <summary>For those who decode side by side, in turns with everybody else.</summary>
    internal SharedModel Share() => new(
        _languageModel, _prompts, _generator, () => (AdapterNames, ActiveAdapter),
        (adapter, act) => _turns.Take(() => adapter, act));

    /// <summary>Asks how likely texts are with the adapter that is in use now, batch by batch, in turns with everybody else.</summary>
    internal TokenScorer CreateScorer()
    {
        string? adapter = ActiveAdapter;
        ITrainedModel network = _model?.Network ?? (ITrainedModel)_languageModel;
        nn.Module module = _model?.Network ?? ((ForeignModel)_languageModel).Module;
        return new TokenScorer(_languageModel, network, module, _prompts, act => _turns.Take(() => adapter, act));
    }

    /// <summary>Reads the weights with the adapter that is in use in place.</summary>
    internal void Write(Action<TextModel, IHost> write) => _turns.TakeActive(() => write(Model, _host));

    /// <summary>ML.NET calls this when it loads a zip.</summary>
    private static SorsaTransformer Create(IHostEnvironment env, ModelLoadContext ctx)
    {
        ctx.CheckAtModel(Version());
        return new SorsaTransformer(env, ModelZip.Load(ctx, env));
    }

    private static VersionInfo Version() => new(
        modelSignature: "SORSATXT", verWrittenCur: ModelZip.HashedVersion, verReadableCur: ModelZip.HashedVersion,
        verWeCanReadBack: 0x00010001,
        loaderSignature: LoaderSignature, loaderAssemblyName: typeof(SorsaTransformer).Assembly.GetName().Name!);

    /// <summary>Answers with the adapter that is in use now, whatever <see cref="UseAdapter"/> does before the last of them.</summary>
    private Func<IReadOnlyList<string>, IReadOnlyList<ComputedText>> OfActive()
    {
        string? adapter = ActiveAdapter;
        return prompts => Compute(prompts, adapter);
    }

    private IReadOnlyList<ComputedText> Compute(IReadOnlyList<string> prompts, string? adapter)
    {
        var refusals = new string?[prompts.Count];
        string[] answers = [];
        _turns.Take(() => adapter, () => answers = _generator.GenerateEach(prompts, (row, problem) => refusals[row] = problem));
        return [.. answers.Zip(refusals, (answer, refusal) => new ComputedText(answer, refusal))];
    }

    /// <summary>The loaded adapter that is in use, for this base; null: none.</summary>
    private AdapterWeights? InUse() => _turns.InUse is { } loaded ? loaded with { BaseName = Model.Origin?.Name } : null;

    /// <summary>What README.md says in a folder of it, or of its adapter in this format.</summary>
    private byte[] Card(AdapterFormat? adapter = null) => new ModelCard(
        Training?.Origin ?? Model.Origin, Training, MergeReport, ActiveAdapter, _prompts.TemplateIsDefault ? null : _prompts.Template,
        Model.SavedType).ToUtf8(adapter);

    private string Generate(string prompt, Func<string?> adapter) => _turns.Take(adapter, () => _generator.Generate([prompt])[0]);

    private IEnumerable<string> Stream(string prompt, Func<string?> adapter, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        IEnumerable<string> pieces = _generator.Stream(prompt, cancellationToken);
        return Pieces();

        IEnumerable<string> Pieces()
        {
            var own = new Lazy<string?>(adapter);
            using IEnumerator<string> next = pieces.GetEnumerator();
            while (MoveNext(next, own))
            {
                yield return next.Current;
            }
        }

        // The turn is one token's, not the whole text's: a reader that dawdles keeps nobody waiting. The keys and values of the tokens
        // before are of the stream's own adapter, and so must the weights be at every one.
        bool MoveNext(IEnumerator<string> next, Lazy<string?> own) => _turns.Take(() => own.Value, next.MoveNext);
    }
}
