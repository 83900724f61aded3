using System.Globalization;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Tokenization;

/// <summary>Reads tokens as tokenizer.json, tokenizer_config.json, special_tokens_map.json and added_tokens.json write them.</summary>
internal static class AddedTokenReader
{
    /// <summary>The id of a token that only has a name so far.</summary>
    public const int NoId = -1;

    /// <summary>The entries of tokenizer.json's added_tokens.</summary>
    public static IEnumerable<AddedToken> ReadList(JsonReader? list) => (list?.Items ?? []).Select(json =>
    {
        AllowFlagsAnd(json, "id");
        return Read(json["id"].Integer, json);
    });

    /// <summary>The entries of tokenizer_config.json's added_tokens_decoder, whose keys are the ids.</summary>
    public static IEnumerable<AddedToken> ReadDecoder(JsonReader? decoder) => (decoder?.Members ?? []).Select(member =>
    {
        AllowFlagsAnd(member.Value, "__type");
        return int.TryParse(member.Key, NumberStyles.None, CultureInfo.InvariantCulture, out int id)
            ? Read(id, member.Value)
            : throw member.Value.Invalid("needs an id as its key");
    });

    /// <summary>
    /// added_tokens.json, which holds no more than contents and ids. It is a slow tokenizer's, which finds its tokens in the text as it is.
    /// </summary>
    public static IEnumerable<AddedToken> ReadIds(JsonReader? file) => (file?.Members ?? []).Select(member =>
        new AddedToken(Verified(member.Value.Integer, member.Value), member.Key, Special: false));

    /// <summary>A special token that is named: its text, or an object with its text and flags.</summary>
    public static AddedToken ReadNamed(JsonReader json) => json.IsText
        ? new AddedToken(NoId, json.Text, Special: true)
        : WithFlags(new AddedToken(NoId, json["content"].Text, Special: true), json);

    private static AddedToken Read(int id, JsonReader json) =>
        WithFlags(new AddedToken(Verified(id, json), json["content"].Text, json.FlagOf("special")), json);

    private static void AllowFlagsAnd(JsonReader json, string other) =>
        json.AllowOnly(other, "content", "single_word", "lstrip", "rstrip", "normalized", "special");

    private static int Verified(int id, JsonReader json) => id is >= 0 and <= Vocabulary.HighestId
        ? id
        : throw json.Invalid($"needs an id from 0 to {Vocabulary.HighestId}");

    private static AddedToken WithFlags(AddedToken token, JsonReader json) => token with
    {
        SingleWord = json.FlagOf("single_word"),
        TakesSpaceBefore = json.FlagOf("lstrip"),
        TakesSpaceAfter = json.FlagOf("rstrip"),
        Normalized = json.FlagOf("normalized"),
    };
}
