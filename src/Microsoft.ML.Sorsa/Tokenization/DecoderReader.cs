using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>Reads the decoder of tokenizer.json: ByteLevel, or a sequence in the order Replace, ByteFallback, Fuse, Strip.</summary>
internal static class DecoderReader
{
    private const string Supported =
        "supported decoders are ByteLevel, and the Sequence Replace (of strings), ByteFallback, Fuse, Strip (at the start; optional)";

    public static TokenDecoder Read(JsonReader json)
    {
        switch (json.Type)
        {
            case "ByteLevel":
                json.AllowOnly("type", "add_prefix_space", "trim_offsets", "use_regex");
                return new ByteLevelDecoder();

            case "Sequence":
                json.AllowOnly("type", "decoders");
                return ReadSequence(json, [.. json["decoders"].Items]);

            default:
                throw json["type"].Unsupported(Supported);
        }
    }

    private static TokenDecoder ReadSequence(JsonReader whole, JsonReader[] steps)
    {
        if (steps is [var only] && only.Type == "ByteLevel")
        {
            return Read(only);
        }

        List<ReplaceRewrite> replacements = [.. steps.TakeWhile(step => step.Type == "Replace").Select(NormalizerReader.ReadReplace)];
        JsonReader[] rest = steps[replacements.Count..];
        if (rest.Length is < 2 or > 3 || rest[0].Type != "ByteFallback" || rest[1].Type != "Fuse")
        {
            throw whole.Unsupported(Supported);
        }

        rest[0].AllowOnly("type");
        rest[1].AllowOnly("type");
        if (rest is not [_, _, var strip])
        {
            return new ByteFallbackDecoder(replacements, ' ', 0);
        }

        if (strip.Type != "Strip")
        {
            throw strip["type"].Unsupported(Supported);
        }

        strip.AllowOnly("type", "content", "start", "stop");
        if (strip["stop"].Integer != 0 || strip["start"].Integer < 0 || strip["content"].Text.Length != 1)
        {
            throw strip.Unsupported("Strip may take one kind of character off the start");
        }

        return new ByteFallbackDecoder(replacements, strip["content"].Text[0], strip["start"].Integer);
    }
}
