using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Adapters.Files;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.FineTuning;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Interop;
using Microsoft.ML.Sorsa.Memory;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Persistence;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tokenization;
using Microsoft.ML.Sorsa.Training;
using Microsoft.ML.Tokenizers;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa;

/// <summary>Gives <see cref="MLContext"/> its <c>Sorsa()</c>.</summary>
public static class SorsaContextExtensions
{
    /// <summary>Fine-tuning of language models with SORSA (arXiv 2409.00055).</summary>
    public static SorsaCatalog Sorsa(this MLContext mlContext)
    {
        ArgumentNullException.ThrowIfNull(mlContext);
        return new SorsaCatalog(mlContext);
    }
}

/// <summary>What <c>mlContext.Sorsa()</c> offers.</summary>
public sealed class SorsaCatalog
{
    private readonly IHostEnvironment _env;

    internal SorsaCatalog(IHostEnvironment env) => _env = env;

    /// <summary>ML.NET's environment, for packages that add methods to this catalog: they log where trainings log.</summary>
    public IHostEnvironment Environment => _env;

    /// <summary>A trainer that teaches a model to answer prompts, with the default options.</summary>
    /// <param name="modelFolder">A folder in the Hugging Face layout with a Llama or Mistral model.</param>
    /// <param name="promptColumnName">The column of text that holds the prompts.</param>
    /// <param name="responseColumnName">The column of text that holds the responses.</param>
    /// <param name="outputColumnName">The column of text that the fitted model adds; another name than the two.</param>
    /// <exception cref="ArgumentException">A name is empty or there twice, or the options do not fit the model.</exception>
    /// <exception cref="IOException">The folder or its config.json is not there.</exception>
    public SorsaFineTuningTrainer FineTune(
        string modelFolder,
        string promptColumnName = FineTuningSettings.DefaultPromptColumnName,
        string responseColumnName = FineTuningSettings.DefaultResponseColumnName,
        string outputColumnName = FineTuningSettings.DefaultOutputColumnName) =>
        FineTune(new SorsaFineTuningTrainer.Options
        {
            ModelFolder = modelFolder,
            PromptColumnName = promptColumnName,
            ResponseColumnName = responseColumnName,
            OutputColumnName = outputColumnName,
        });

    /// <summary>A trainer that teaches a model to answer prompts.</summary>
    /// <param name="options">Everything that can be set; copied.</param>
    /// <exception cref="ArgumentException">An option is outside its range, or does not fit the model.</exception>
    /// <exception cref="IOException">The model folder or its config.json is not there.</exception>
    public SorsaFineTuningTrainer FineTune(SorsaFineTuningTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        FineTuningSettings settings = options.ToSettings();
        settings.VerifyForFolder();
        DecoderConfig config = DecoderConfig.Load(settings.ModelFolder);
        settings.VerifyFor(config);
        return new SorsaFineTuningTrainer(
            _env, settings,
            host => new FolderModel(settings, config, TorchDevice.Of(host)));
    }

    /// <summary>
    /// What <see cref="SorsaFineTuningTrainer.Fit(IDataView)"/> will take of the device's memory, without loading a weight: config.json,
    /// the headers of the weights' files and the tokenizer are read, and the rows are turned into tokens. ML.NET's log gets the numbers in
    /// Fit, too, which refuses what does not fit; docs/memory.md says how to read them.
    /// </summary>
    /// <param name="options">As for <see cref="FineTune(SorsaFineTuningTrainer.Options)"/>.</param>
    /// <param name="trainData">
    /// The rows: the peak is that of the largest micro-batch that they make. Null: rows of MaxPromptLength and MaxResponseLength tokens,
    /// the longest that the options allow, and validation rows of that length if an option asks for some.
    /// </param>
    /// <param name="validationData">The second argument of Fit, if it will have one.</param>
    /// <exception cref="ArgumentException">An option or a column does not fit, as in FineTune and Fit.</exception>
    /// <exception cref="IOException">The model folder, its config.json or its weights are not there.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt, or the weights are not those of config.json.</exception>
    /// <exception cref="InvalidOperationException">No row has a prompt and a response.</exception>
    public SorsaMemoryEstimate Estimate(
        SorsaFineTuningTrainer.Options options, IDataView? trainData = null, IDataView? validationData = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        FineTuningSettings settings = options.ToSettings();
        settings.VerifyForFolder();
        DecoderConfig config = DecoderConfig.Load(settings.ModelFolder);
        settings.VerifyFor(config);

        // Headers alone: what is mapped is not read, and the stored type needs no look at the range of the values.
        FineTuningSettings headers = settings with { MapWeights = true, SavedType = WeightType.Checkpoint };
        return new SorsaFineTuningTrainer(_env, settings, host => new FolderModel(headers, config, TorchDevice.Of(host)))
            .Estimate(trainData, validationData);
    }

    /// <summary>
    /// A trainer for a model object beside the folder that it was loaded from, such as ML.NET GenAI's LlamaForCausalLM. Configuration and
    /// tokenizer are the folder's. Where the library's own decoder, over the object's own tensors, gives the object's logits, everything
    /// works as from a folder: every method and option, generation with a cache, adapters, model zips. The merged weights are written into
    /// the object at the end. Where it does not, the object itself is trained, as without a folder, and the error of saving says why.
    /// </summary>
    /// <param name="model">
    /// The model, on its device. It stays the caller's, and is changed at the end alone: a training that fails leaves it as it was. Where
    /// ComputeType is its own type (WeightType.Checkpoint is, always) its weights are not copied.
    /// </param>
    /// <param name="modelFolder">A folder in the Hugging Face layout; its weights are not read.</param>
    /// <param name="options">Everything that can be set, but for ModelFolder; copied.</param>
    /// <param name="forward">Token ids int64 [B, T] to logits [B, T, vocabulary]; null: by the shape of the model's class.</param>
    /// <exception cref="ArgumentException">
    /// An option is outside its range, or does not fit the model; what the model gives are no logits.
    /// </exception>
    /// <exception cref="IOException">The model folder or its config.json is not there.</exception>
    /// <exception cref="NotSupportedException">
    /// The class is of no shape that is understood, or its layers move in forward; the folder's architecture is not Llama or Mistral.
    /// </exception>
    public SorsaFineTuningTrainer FineTune(
        nn.Module model, string modelFolder, SorsaFineTuningTrainer.Options options, Func<Tensor, Tensor>? forward = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrWhiteSpace(modelFolder);
        ArgumentNullException.ThrowIfNull(options);
        FineTuningSettings settings = options.ToSettings();
        modelFolder = Path.GetFullPath(modelFolder);
        OptionRange.Fit(
            string.IsNullOrEmpty(settings.ModelFolder) || settings.ModelFolder == modelFolder,
            nameof(settings.ModelFolder), $"'{settings.ModelFolder}'",
            $"the folder beside the object is '{modelFolder}'", "Leave it empty");
        settings = settings with { ModelFolder = modelFolder };
        settings.VerifyForFolder();
        DecoderConfig config = DecoderConfig.Load(modelFolder);
        settings.VerifyFor(config);
        _ = ForeignModel.Bind(model, forward);
        return new SorsaFineTuningTrainer(_env, settings, host =>
        {
            using IChannel log = host.Start("Model object");
            return ObjectModel.Open(model, forward, config, settings, log);
        });
    }

    /// <summary>
    /// A trainer for a model object of any TorchSharp class that gives logits for token ids, without a folder. Training writes merged
    /// weights into the object itself; the transformer generates without a cache and cannot be saved.
    /// </summary>
    /// <param name="model">
    /// The model, on its device and in its type by the time of Fit. It stays the caller's; a training that fails puts its weights back.
    /// </param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="options">
    /// Everything that can be set, but for ModelFolder, Dropout, Quantization, ComputeType and SavedType; copied.
    /// </param>
    /// <param name="forward">Token ids int64 [B, T] to logits [B, T, vocabulary]; null: by the shape of the model's class.</param>
    /// <param name="endTokenId">
    /// The token that ends a text; null: the one that the tokenizer names. Generation also ends at the tokenizer's end-of-turn tokens.
    /// </param>
    /// <exception cref="ArgumentException">
    /// An option is outside its range, or does not fit the model; no module matches TargetModules; what the model gives are no logits.
    /// </exception>
    /// <exception cref="NotSupportedException">
    /// The class is of no shape that is understood, the model is quantised, or its layers move in forward.
    /// </exception>
    public SorsaFineTuningTrainer FineTune(
        nn.Module model, Tokenizer tokenizer, SorsaFineTuningTrainer.Options options, Func<Tensor, Tensor>? forward = null,
        int? endTokenId = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(tokenizer);
        ArgumentNullException.ThrowIfNull(options);
        FineTuningSettings settings = options.ToSettings();
        settings.VerifyForModule();

        // Once now, so that what does not fit is refused before any work; and at Fit, since the object may be moved or cast until then.
        Open();
        return new SorsaFineTuningTrainer(_env, settings, _ => Open());

        ModuleModel Open() => ModuleModel.Open(model, tokenizer, forward, endTokenId, settings);
    }

    /// <summary>The same for ML.NET GenAI's ICausalLMPipeline, or whatever has its properties Model and Tokenizer.</summary>
    /// <param name="pipeline">Its model is trained; it stays the caller's.</param>
    /// <param name="options">As for a model and its tokenizer; copied.</param>
    /// <exception cref="ArgumentException">It has no such properties, or an option does not fit.</exception>
    /// <exception cref="NotSupportedException">The model cannot be trained where it lies.</exception>
    public SorsaFineTuningTrainer FineTune(object pipeline, SorsaFineTuningTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(pipeline);
        (nn.Module model, Tokenizer tokenizer) = PipelineBinding.Of(pipeline);
        return FineTune(model, tokenizer, options);
    }

    /// <summary>The same for a pipeline beside the folder that its model was loaded from, whose tokenizer is used.</summary>
    /// <param name="pipeline">Has a property Model that holds the model, and a property Tokenizer, as GenAI's ICausalLMPipeline.</param>
    /// <param name="modelFolder">A folder in the Hugging Face layout; its weights are not read.</param>
    /// <param name="options">As for a model and its folder; copied.</param>
    /// <exception cref="ArgumentException">It has no such properties, or an option does not fit.</exception>
    /// <exception cref="NotSupportedException">The model cannot be trained where it lies.</exception>
    public SorsaFineTuningTrainer FineTune(object pipeline, string modelFolder, SorsaFineTuningTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(pipeline);
        return FineTune(PipelineBinding.Of(pipeline).Model, modelFolder, options);
    }

    /// <summary>Opens a model folder for many trainings, which share what does not depend on their options.</summary>
    /// <param name="options">
    /// The model's folder, ComputeType and SavedType, and the Seed of the randomised decomposition; copied. Ranks hear of it where it
    /// cannot be opened here.
    /// </param>
    /// <param name="largestRank">The largest rank that a training can ask for: at it each matrix is decomposed. At least 1.</param>
    /// <param name="decompositionFolder">
    /// Where decompositions are kept, also for other processes of this user; made, for this user alone, if it is not there.
    /// </param>
    /// <exception cref="ArgumentException">An option is outside its range; the tokenizer is another model's.</exception>
    /// <exception cref="IOException">The folder or one of its files is not there.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt, or the weights are not those of config.json.</exception>
    /// <exception cref="InvalidOperationException">No GPU where one is demanded.</exception>
    /// <exception cref="InsufficientMemoryException">The weights would not fit in memory.</exception>
    public SorsaBaseModel OpenBaseModel(SorsaFineTuningTrainer.Options options, int largestRank, string decompositionFolder)
    {
        ArgumentNullException.ThrowIfNull(options);
        return TrainingGroup.Run(options.Ranks, _ => new SorsaBaseModel(_env, options, largestRank, decompositionFolder));
    }

    /// <summary>A model as it is, without training.</summary>
    /// <param name="modelFolder">A folder in the Hugging Face layout with a Llama or Mistral model.</param>
    /// <param name="promptColumnName">The column of text that holds the prompts.</param>
    /// <param name="outputColumnName">The column of text that is added; not the prompts'.</param>
    /// <param name="promptTemplate">What stands around a prompt; null: <see cref="PromptTemplate.Alpaca"/>.</param>
    /// <param name="generation">How to generate; null: greedy, at most 256 tokens.</param>
    /// <param name="computeType">What to compute in; <see cref="WeightType.Auto"/>: what is faster here, which the log tells.</param>
    /// <param name="mapWeights">
    /// Maps the weights' files into memory, so that loading takes no time and a model in the type to compute in no memory of its own; the
    /// files must then stay as they are until the transformer is disposed: one that is cut short ends the process, without an exception.
    /// False reads them now, once and whole, after which they may change or go: for files that others may write to, network drives and
    /// removable disks.
    /// </param>
    /// <param name="maxPromptLength">
    /// Tokens of a prompt, its template and BOS included, before the end of its own text is cut, as MaxPromptLength in training; null: it
    /// is not cut, and one that leaves no room in the model's positions is refused.
    /// </param>
    /// <exception cref="ArgumentException">
    /// A name is empty, the options do not fit together, or the tokenizer is another model's.
    /// </exception>
    /// <exception cref="IOException">The folder or one of its files is not there.</exception>
    /// <exception cref="InvalidDataException">A file is corrupt, or the weights are not those of config.json.</exception>
    /// <exception cref="NotSupportedException">
    /// Another architecture than Llama and Mistral, or a part of the tokenizer that is not supported.
    /// </exception>
    public SorsaTransformer LoadModel(
        string modelFolder,
        string promptColumnName = FineTuningSettings.DefaultPromptColumnName,
        string outputColumnName = FineTuningSettings.DefaultOutputColumnName,
        PromptTemplate? promptTemplate = null, GenerationOptions? generation = null, WeightType computeType = WeightType.Float32,
        bool mapWeights = true, int? maxPromptLength = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(modelFolder);
        ArgumentException.ThrowIfNullOrWhiteSpace(promptColumnName);
        ArgumentException.ThrowIfNullOrWhiteSpace(outputColumnName);
        OptionRange.Fit(outputColumnName != promptColumnName, nameof(outputColumnName), $"'{outputColumnName}'",
            $"{nameof(promptColumnName)} is the same: the replies would hide the prompts", "Choose another name, such as Reply");
        if (maxPromptLength is { } length)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(length, 1, nameof(maxPromptLength));
        }

        OptionRange.VerifyDefined(computeType, nameof(computeType));
        generation ??= new GenerationOptions();
        generation.Validate();
        DecoderConfig config = DecoderConfig.Load(modelFolder);
        var prompts = new PromptEncoder(
            TextTokenizer.Load(modelFolder, config.Spec.VocabularySize), promptTemplate ?? PromptTemplate.Alpaca, maxPromptLength)
        {
            TemplateIsDefault = promptTemplate is null,
        };
        _ = GenerationConfig.EndTokens(prompts.Tokenizer.Files);
        Device device = TorchDevice.Of(_env);
        CausalLM network = CausalLM.Load(
            config, modelFolder, stored => ChosenType(computeType, stored, config.Spec, device), device, mapWeights);
        network.eval();
        return new SorsaTransformer(
            _env, new TextModel(network, prompts, generation, network.StoredType, promptColumnName, outputColumnName)
            {
                Origin = new ModelOrigin(BaseModelName.Of(modelFolder, config.Json), ModelLicense.Of(modelFolder)),
            });
    }

    /// <summary>
    /// What a training starts from, as it is: the model of the options' folder, asked as the fine-tuned one will be, with their template,
    /// lengths, columns and generation. It answers before a training, or beside it, what the fine-tuned model is compared with.
    /// </summary>
    /// <param name="options">Those of the training, as for <see cref="FineTune(SorsaFineTuningTrainer.Options)"/>.</param>
    /// <inheritdoc cref="LoadModel(string, string, string, PromptTemplate, GenerationOptions, WeightType, bool, int?)" path="/exception"/>
    public SorsaTransformer LoadModel(SorsaFineTuningTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return LoadModel(
            options.ModelFolder, options.PromptColumnName, options.OutputColumnName, options.PromptTemplate, options.Generation,
            options.ComputeType, options.MapWeights, options.MaxPromptLength);
    }

    private ScalarType ChosenType(WeightType asked, ScalarType stored, DecoderSpec model, Device device)
    {
        var choice = ComputeTypeChoice.Of(asked, stored, model, device, trainsEveryWeight: false);
        using IChannel log = _env.Register(nameof(LoadModel)).Start("Loading");
        choice.Tell(log);
        return choice.Type;
    }

    /// <summary>
    /// Writes a model, alone or in a pipeline with others, as ML.NET's model zip; the file is there when it is whole, see
    /// <see cref="SorsaTransformer.Save"/>.
    /// </summary>
    /// <param name="model">The fitted pipeline.</param>
    /// <param name="inputSchema">The columns that a program will give to it; null: <c>mlContext.Model.Load</c> hands out none.</param>
    /// <param name="path">The file, in a folder that is there; it replaces a file of that name.</param>
    /// <exception cref="IOException">The file cannot be written: its folder is not there, the disk is full, ...</exception>
    /// <exception cref="UnauthorizedAccessException">The file or its folder must not be written.</exception>
    /// <exception cref="NotSupportedException">A model in it is an object of the user's own class.</exception>
    public void SaveZip(ITransformer model, DataViewSchema? inputSchema, string path)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        ModelZipFile.Write(
            _env, model, inputSchema, path, ModelZipFile.Members<SorsaTransformer>(model).Sum(member => member.Model.WeightBytes));
    }

    /// <summary>
    /// The fine-tuned model in a model zip, whoever wrote that: <see cref="SorsaTransformer.Save"/>, <see cref="SaveZip"/> or
    /// <c>mlContext.Model.Save</c>. Of a pipeline it is the part that answers prompts; <c>mlContext.Model.Load</c> gives all of it.
    /// </summary>
    /// <param name="path">The file. A zip may name code to run, as all of ML.NET's do: load only what you trust.</param>
    /// <exception cref="IOException">The file is not there.</exception>
    /// <exception cref="InvalidDataException">
    /// It is no model zip, a damaged one, or holds none or several models of this library.
    /// </exception>
    public SorsaTransformer LoadZip(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        return ModelZipFile.Single<SorsaTransformer>(ModelZipFile.Read(_env, path), path);
    }
}
