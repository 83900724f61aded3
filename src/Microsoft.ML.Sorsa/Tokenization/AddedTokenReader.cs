using System.Globalization;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>Reads added tokens as tokenizer.json and tokenizer_config.json write them.</summary>
internal static class AddedTokenReader
{
    /// <summary>An entry of added_tokens_decoder, whose key is the id.</summary>
    public static AddedToken Read(string key, JsonPart part)
    {
        part.AllowOnly("content", "single_word", "lstrip", "rstrip", "normalized", "special");
        return int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out int id)
            ? Read(id, part)
            : throw part.Invalid("needs an id as its key");
    }

    /// <summary>An entry of added_tokens, and whether it is found only after the normalizer.</summary>
    public static (AddedToken Token, bool Late) Read(JsonPart part)
    {
        part.AllowOnly("id", "content", "single_word", "lstrip", "rstrip", "normalized", "special");
        return (Read(part["id"].Number, part), part.Find("normalized")?.Flag ?? false);
    }

    private static AddedToken Read(int id, JsonPart part)
    {
        if (id is < 0 or > Vocabulary.HighestId)
        {
            throw part.Invalid($"needs an id from 0 to {Vocabulary.HighestId}");
        }

        part.Refuse("single_word", meaningless: false);
        return new AddedToken(
            id,
            part["content"].Text,
            part.Find("special")?.Flag ?? false,
            part.Find("lstrip")?.Flag ?? false,
            part.Find("rstrip")?.Flag ?? false);
    }
}
