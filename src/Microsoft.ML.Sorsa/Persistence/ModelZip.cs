using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Files;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tensors;
using Microsoft.ML.Sorsa.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Persistence;

/// <summary>
/// What a text transformer writes into ML.NET's model zip, in this order: columns, prompt template, generation options, types; as entries
/// of their own the small files of a Hugging Face folder (config.json, the tokenizer's), each with its SHA-256; a SHA-256 over all that;
/// model.safetensors and its SHA-256.
/// </summary>
internal static class ModelZip
{
    /// <summary>What is written now. Before it, 0x00010001, only the weights had a hash.</summary>
    public const uint HashedVersion = 0x00010002;

    public static void Save(ModelSaveContext ctx, TextModel model)
    {
        var settings = new ZipSettingsWriter(ctx);
        settings.Write(model.PromptColumnName);
        settings.Write(model.OutputColumnName);
        settings.Write(model.Prompts.Serialize());
        SaveGeneration(settings, model.Generation);
        settings.Write(model.Network.Type.ToString());
        settings.Write(model.SavedType.ToString());
        settings.WriteEntry(DecoderConfig.FileName, model.Network.Config.JsonFor(model.SavedType));
        TokenizerFiles files = model.TokenizerFiles;
        settings.Write(files.Names.Count);
        foreach (string name in files.Names)
        {
            settings.Write(name);
            settings.WriteEntry(name, files.Find(name)!);
        }

        settings.WriteHash();
        string hash = "";
        ArchiveWriter.WriteStored(ctx, Checkpoint.SingleFile, stream =>
        {
            using var hashed = new HashedStream(stream);
            CheckpointWriter.Write(hashed, model.Network.NamedWeights, model.SavedType);
            hash = hashed.Hash;
        });
        ctx.SaveNonEmptyString(hash);
    }

    /// <exception cref="InvalidDataException">The zip does not hold what <see cref="Save"/> writes.</exception>
    /// <exception cref="ArgumentException">The tokenizer in it is another model's.</exception>
    public static TextModel Load(ModelLoadContext ctx, IHostEnvironment env)
    {
        var settings = new ZipSettingsReader(ctx, hashed: ctx.Header.ModelVerWritten >= HashedVersion);
        string promptColumn = settings.ReadText(), outputColumn = settings.ReadText();
        string prompt = settings.ReadText();
        GenerationOptions generation = LoadGeneration(settings);
        ScalarType computeType = LoadType(settings), savedType = LoadType(settings);
        byte[] json = settings.ReadEntry(DecoderConfig.FileName);
        int count = settings.ReadInteger();
        if (count < 1 || count > TokenizerFiles.KnownNames.Count)
        {
            throw Damaged($"it claims {count} tokenizer files");
        }

        var files = new List<KeyValuePair<string, byte[]>>();
        for (int i = 0; i < count; i++)
        {
            string name = settings.ReadText();
            files.Add(KeyValuePair.Create(name, settings.ReadEntry(name)));
        }

        // Nothing is believed before.
        settings.VerifyHash();
        DecoderConfig config = DecoderConfig.Parse(json, DecoderConfig.FileName);
        var prompts = PromptEncoder.Deserialize(
            TextTokenizer.Load(new TokenizerFiles(files), config.Spec.VocabularySize, "the model zip"), prompt);
        Device device = TorchDevice.Of(env);
        using (IChannel log = env.Register(nameof(ModelZip)).Start("Loading"))
        {
            ComputeTypeChoice.Given(computeType, device).Tell(log);
        }

        using Checkpoint checkpoint = ReadWeights(ctx);
        CausalLM network = CausalLM.Load(config, checkpoint, computeType, device);
        network.eval();
        return new TextModel(network, prompts, generation, savedType, promptColumn, outputColumn);
    }

    private static Checkpoint ReadWeights(ModelLoadContext ctx)
    {
        using Stream entry = ArchiveReader.OpenStream(ctx, Checkpoint.SingleFile, out long length);
        using var hashed = new HashedStream(entry);
        Checkpoint? checkpoint = null;
        Exception? fault = null;
        try
        {
            checkpoint = Checkpoint.Read(hashed, length, Checkpoint.SingleFile);
        }
        catch (InvalidDataException e)
        {
            fault = e;
        }

        // To the end: whether a file that cannot be read was damaged, or saved like that, its hash tells.
        hashed.CopyTo(Stream.Null);
        if (ctx.LoadNonEmptyString() == hashed.Hash && fault is null)
        {
            return checkpoint!;
        }

        checkpoint?.Dispose();
        throw ArchiveReader.Damaged(
            Checkpoint.SingleFile, $"is damaged: the bytes of {Checkpoint.SingleFile} are not those that were saved", fault);
    }

    private static void SaveGeneration(ZipSettingsWriter settings, GenerationOptions options)
    {
        settings.Write(options.MaxNewTokens);
        settings.Write(options.Temperature);
        settings.Write(options.TopP);
        settings.Write(options.TopK);
        settings.Write(options.RepetitionPenalty);
        settings.Write(options.BatchSize);
        settings.Write(options.Seed);
        settings.Write(options.StopStrings.Count);
        foreach (string stop in options.StopStrings)
        {
            settings.Write(stop);
        }
    }

    private static GenerationOptions LoadGeneration(ZipSettingsReader settings)
    {
        try
        {
            var options = new GenerationOptions
            {
                MaxNewTokens = settings.ReadInteger(),
                Temperature = settings.ReadNumber(),
                TopP = settings.ReadNumber(),
                TopK = settings.ReadInteger(),
                RepetitionPenalty = settings.ReadNumber(),
                BatchSize = settings.ReadInteger(),
                Seed = settings.ReadInteger(),
            };
            var stops = new List<string>();
            for (int left = settings.ReadInteger(); left > 0; left--)
            {
                stops.Add(settings.ReadText());
            }

            options = options with { StopStrings = stops };
            options.Validate();
            return options;
        }
        catch (ArgumentException e)
        {
            throw Damaged(e.Message, e);
        }
    }

    private static ScalarType LoadType(ZipSettingsReader settings)
    {
        string name = settings.ReadText();
        return Enum.TryParse(name, out ScalarType type)
            && type is ScalarType.Float64 or ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16
            ? type
            : throw Damaged($"it names the weight type '{name}'");
    }

    private static InvalidDataException Damaged(string what, Exception? inner = null) =>
        new($"The model zip is damaged: {what}. Save the model or copy the zip again.", inner);
}
