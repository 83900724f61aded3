using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Tokenization;

namespace Microsoft.ML.Sorsa.Tests.Tokenization;

/// <summary>The bundled tokenizer with some of its settings changed.</summary>
internal static class EditedTokenizer
{
    /// <param name="file">Which file to change.</param>
    /// <param name="path">A place in it: "model.vocab" or "added_tokens.0.id". A last number behind an array's end appends.</param>
    /// <param name="json">What to put there; null removes it.</param>
    public static TokenizerFiles With(string file, string path, string? json) => With(file, [(path, json)]);

    public static TokenizerFiles With(string file, params (string Path, string? Json)[] edits) => With(file, edits, keepConfig: true);

    /// <summary>Several changes; without the files that name special tokens, where those are no longer there.</summary>
    public static TokenizerFiles With(string file, (string Path, string? Json)[] edits, bool keepConfig)
    {
        TokenizerFiles files = TokenizerFiles.FromFolder(TestData.TinyLlama);
        JsonNode root = JsonNode.Parse(files.Find(file))!;
        foreach ((string path, string? json) in edits)
        {
            Set(root, path.Split('.'), json);
        }

        if (!keepConfig)
        {
            files = Replace(Replace(files, TokenizerFiles.TokenizerConfig, null), TokenizerFiles.SpecialTokensMap, null);
        }

        return Replace(files, file, Encoding.UTF8.GetBytes(root.ToJsonString()));
    }

    /// <summary>The same files with another content of one; null leaves that one out.</summary>
    public static TokenizerFiles Replace(TokenizerFiles files, string file, byte[]? content) => new(files.Names
        .Where(name => name != file)
        .Select(name => KeyValuePair.Create(name, files.Find(name)!))
        .Concat(content is null ? [] : [KeyValuePair.Create(file, content)]));

    private static void Set(JsonNode root, string[] path, string? json)
    {
        JsonNode parent = root;
        foreach (string key in path[..^1])
        {
            parent = parent is JsonArray array ? array[int.Parse(key, CultureInfo.InvariantCulture)]! : parent[key]!;
        }

        switch (parent)
        {
            case JsonArray array when int.Parse(path[^1], CultureInfo.InvariantCulture) is var index && index < array.Count:
                array[index] = JsonNode.Parse(json!);
                break;
            case JsonArray array:
                array.Add(JsonNode.Parse(json!));
                break;
            case JsonObject members when json is null:
                Assert.IsTrue(members.Remove(path[^1]));
                break;
            default:
                parent[path[^1]] = JsonNode.Parse(json!);
                break;
        }
    }
}
