using System.Security.Cryptography;
using Microsoft.ML.Runtime;
using Microsoft.ML.Sorsa.Checkpoints;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Models;
using Microsoft.ML.Sorsa.Tokenization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Sorsa.Persistence;

/// <summary>
/// What a text transformer writes into ML.NET's model zip, in this order: columns, prompt template, generation options, types; then, as
/// entries of their own, the files of a Hugging Face folder (config.json, the tokenizer's, model.safetensors) and the weights' SHA-256.
/// </summary>
internal static class ModelZip
{
    public static void Save(ModelSaveContext ctx, TextModel model)
    {
        ctx.SaveNonEmptyString(model.PromptColumnName);
        ctx.SaveNonEmptyString(model.OutputColumnName);
        ctx.SaveNonEmptyString(model.Prompts.Serialize());
        SaveGeneration(ctx, model.Generation);
        ctx.SaveNonEmptyString(model.Network.Type.ToString());
        ctx.SaveNonEmptyString(model.SavedType.ToString());

        byte[] config = model.Network.Config.JsonFor(model.SavedType);
        ArchiveWriter.WriteStored(ctx, DecoderConfig.FileName, stream => stream.Write(config));
        TokenizerFiles files = model.TokenizerFiles;
        ctx.Writer.Write(files.Names.Count);
        foreach (string name in files.Names)
        {
            ctx.SaveNonEmptyString(name);
            ArchiveWriter.WriteStored(ctx, name, stream => stream.Write(files.Find(name)));
        }

        using var hash = SHA256.Create();
        ArchiveWriter.WriteStored(ctx, Checkpoint.SingleFile, stream =>
        {
            using var hashed = new CryptoStream(stream, hash, CryptoStreamMode.Write, leaveOpen: true);
            CheckpointWriter.Write(hashed, model.Network.NamedWeights, model.SavedType);
        });
        ctx.SaveNonEmptyString(Convert.ToHexStringLower(hash.Hash!));
    }

    /// <exception cref="InvalidDataException">The zip does not hold what <see cref="Save"/> writes.</exception>
    /// <exception cref="ArgumentException">The tokenizer in it is another model's.</exception>
    public static TextModel Load(ModelLoadContext ctx, Device device)
    {
        string promptColumn = ctx.LoadNonEmptyString(), outputColumn = ctx.LoadNonEmptyString();
        string prompt = ctx.LoadNonEmptyString();
        GenerationOptions generation = LoadGeneration(ctx);
        ScalarType computeType = LoadType(ctx), savedType = LoadType(ctx);

        DecoderConfig config = DecoderConfig.Parse(ArchiveReader.ReadBytes(ctx, DecoderConfig.FileName), DecoderConfig.FileName);
        int count = ctx.Reader.ReadInt32();
        if (count < 1 || count > TokenizerFiles.KnownNames.Count)
        {
            throw Damaged($"it claims {count} tokenizer files");
        }

        var files = new List<KeyValuePair<string, byte[]>>();
        for (int i = 0; i < count; i++)
        {
            string name = ctx.LoadNonEmptyString();
            files.Add(KeyValuePair.Create(name, ArchiveReader.ReadBytes(ctx, name)));
        }

        var prompts = PromptEncoder.Deserialize(
            TextTokenizer.Load(new TokenizerFiles(files), config.Spec.VocabularySize, "the model zip"), prompt);
        using Checkpoint checkpoint = ReadWeights(ctx);
        CausalLM network = CausalLM.Load(config, checkpoint, computeType, device);
        network.eval();
        return new TextModel(network, prompts, generation, savedType, promptColumn, outputColumn);
    }

    /// <summary>
    /// The zip itself checks no content: a byte that was changed in a gigabyte of weights would only make the answers worse.
    /// </summary>
    private static Checkpoint ReadWeights(ModelLoadContext ctx)
    {
        using var hash = SHA256.Create();
        using Stream entry = ArchiveReader.OpenStream(ctx, Checkpoint.SingleFile, out long length);
        using var hashed = new CryptoStream(entry, hash, CryptoStreamMode.Read);
        Checkpoint checkpoint = Checkpoint.Read(hashed, length, Checkpoint.SingleFile);
        if (hashed.ReadByte() < 0 && ctx.LoadNonEmptyString() == Convert.ToHexStringLower(hash.Hash!))
        {
            return checkpoint;
        }

        checkpoint.Dispose();
        throw Damaged($"the bytes of {Checkpoint.SingleFile} are not those that were saved");
    }

    private static void SaveGeneration(ModelSaveContext ctx, GenerationOptions options)
    {
        ctx.Writer.Write(options.MaxNewTokens);
        ctx.Writer.Write(options.Temperature);
        ctx.Writer.Write(options.TopP);
        ctx.Writer.Write(options.TopK);
        ctx.Writer.Write(options.RepetitionPenalty);
        ctx.Writer.Write(options.BatchSize);
        ctx.Writer.Write(options.Seed);
        ctx.Writer.Write(options.StopStrings.Count);
        foreach (string stop in options.StopStrings)
        {
            ctx.SaveNonEmptyString(stop);
        }
    }

    private static GenerationOptions LoadGeneration(ModelLoadContext ctx)
    {
        try
        {
            var options = new GenerationOptions
            {
                MaxNewTokens = ctx.Reader.ReadInt32(),
                Temperature = ctx.Reader.ReadDouble(),
                TopP = ctx.Reader.ReadDouble(),
                TopK = ctx.Reader.ReadInt32(),
                RepetitionPenalty = ctx.Reader.ReadDouble(),
                BatchSize = ctx.Reader.ReadInt32(),
                Seed = ctx.Reader.ReadInt32(),
            };
            var stops = new List<string>();
            for (int left = ctx.Reader.ReadInt32(); left > 0; left--)
            {
                stops.Add(ctx.LoadNonEmptyString());
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

    private static ScalarType LoadType(ModelLoadContext ctx)
    {
        string name = ctx.LoadNonEmptyString();
        return Enum.TryParse(name, out ScalarType type)
            && type is ScalarType.Float64 or ScalarType.Float32 or ScalarType.Float16 or ScalarType.BFloat16
            ? type
            : throw Damaged($"it names the weight type '{name}'");
    }

    private static InvalidDataException Damaged(string what, Exception? inner = null) =>
        new($"The model zip cannot be used: {what}. Save the model or copy the zip again.", inner);
}
