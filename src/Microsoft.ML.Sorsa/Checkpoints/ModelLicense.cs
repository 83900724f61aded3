using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML.Sorsa.Files;

namespace Microsoft.ML.Sorsa.Checkpoints;

/// <summary>
/// The license of a model as its folder says: the front matter of README.md, as on Hugging Face, or the text of a file such as LICENSE.
/// Nothing is guessed beyond that.
/// </summary>
/// <param name="Ids">Identifiers as Hugging Face has them: apache-2.0, mit, llama3.2, other; at least one.</param>
/// <param name="Name">What "other" is called (license_name); null: it has no name.</param>
/// <param name="Link">Where its text is (license_link); null: not known.</param>
/// <param name="Source">The file that says so; null: none does.</param>
internal sealed partial record ModelLicense(IReadOnlyList<string> Ids, string? Name, string? Link, string? Source)
{
    public const string Other = "other", CardFile = "README.md";

    /// <summary>Where neither file says anything; a word that Hugging Face knows, too.</summary>
    public static readonly ModelLicense Unknown = new(["unknown"], null, null, null);

    /// <summary>Files with a license's text, the first of them that is there.</summary>
    private static readonly string[] s_files =
        ["LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "LICENCE.txt", "LICENCE.md", "LICENSE-MODEL", "COPYING"];

    /// <summary>What the texts begin with, and their identifiers on Hugging Face; the more special ones first.</summary>
    private static readonly (string Words, string Id)[] s_texts =
    [
        ("llama 3.3 community license", "llama3.3"), ("llama 3.2 community license", "llama3.2"),
        ("llama 3.1 community license", "llama3.1"), ("meta llama 3 community license", "llama3"),
        ("llama 2 community license", "llama2"), ("llama 4 community license", "llama4"), ("gemma terms of use", "gemma"),
        ("apache license version 2.0", "apache-2.0"), ("mit license", "mit"),
        ("permission is hereby granted, free of charge, to any person obtaining a copy", "mit"),
        ("bigscience openrail-m", "bigscience-openrail-m"), ("creative commons attribution-noncommercial 4.0", "cc-by-nc-4.0"),
        ("creative commons attribution-sharealike 4.0", "cc-by-sa-4.0"), ("attribution-noncommercial 4.0 international", "cc-by-nc-4.0"),
        ("attribution-sharealike 4.0 international", "cc-by-sa-4.0"), ("attribution 4.0 international", "cc-by-4.0"),
        ("gnu affero general public license version 3", "agpl-3.0"), ("gnu lesser general public license version 3", "lgpl-3.0"),
        ("gnu general public license version 3", "gpl-3.0"), ("gnu general public license version 2", "gpl-2.0"),
        ("bsd 3-clause license", "bsd-3-clause"), ("bsd 2-clause license", "bsd-2-clause"),
    ];

    /// <summary>So much of a file says what it is.</summary>
    private const int Beginning = 65536, TextBeginning = 600, LongestName = 120;

    public bool IsKnown => Source is not null;

    /// <summary>The identifiers, and the name of what is called other.</summary>
    public override string ToString() => string.Join(", ", Ids) + (Name is null ? "" : $" ({Name})");

    /// <summary>
    /// Reads what a folder says. A file that cannot be read says nothing: a license is not worth a model that does not open.
    /// </summary>
    public static ModelLicense Of(string folder)
    {
        try
        {
            // Whatever the case of its letters: LICENSE and license.txt are the same to a reader.
            string[] there = [.. Directory.EnumerateFiles(folder)];
            string? Find(string name) => Array.Find(
                there, path => Path.GetFileName(path).Equals(name, StringComparison.OrdinalIgnoreCase));
            return (Find(CardFile) is { } card ? OfCard(Path.GetFileName(card), Text(card)) : null)
                ?? (s_files.Select(Find).FirstOrDefault(path => path is not null) is { } file
                    ? OfText(Path.GetFileName(file), Text(file)) : null)
                ?? Unknown;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            return Unknown;
        }
    }

    /// <summary>Of the front matter: the lines between two of "---" at the beginning.</summary>
    private static ModelLicense? OfCard(string file, string card)
    {
        string[] lines = card.ReplaceLineEndings("\n").Split('\n');
        int end = lines[0].TrimEnd() == "---" ? Array.FindIndex(lines, 1, line => line.TrimEnd() == "---") : -1;
        if (end < 0)
        {
            return null;
        }

        string[] front = lines[1..end];
        string[] ids = [.. Values(front, "license").Where(id => IdPattern.IsMatch(id)).Select(id => id.ToLowerInvariant())];
        return ids.Length == 0 || ids is ["unknown"]
            ? null
            : new ModelLicense(
                ids, Values(front, "license_name").FirstOrDefault(), Values(front, "license_link").FirstOrDefault(), file);
    }

    private static ModelLicense? OfText(string file, string text)
    {
        string start = string.Join(' ', text[..Math.Min(text.Length, TextBeginning)].Split(
            [' ', '\t', '\r', '\n', '#', '*', ','], StringSplitOptions.RemoveEmptyEntries)).ToLowerInvariant();
        foreach ((string words, string id) in s_texts)
        {
            if (start.Contains(words.Replace(",", "", StringComparison.Ordinal), StringComparison.Ordinal))
            {
                return new ModelLicense([id], null, null, file);
            }
        }

        string? first = text.Split('\n').Select(line => Plain(line.Trim(' ', '\t', '\r', '#', '*', '=')))
            .FirstOrDefault(line => line.Length > 0);
        return first is null ? null : new ModelLicense([Other], first, null, file);
    }

    /// <summary>A value of one line, "[a, b]" or a list of lines "- a".</summary>
    private static IEnumerable<string> Values(string[] front, string key)
    {
        int at = Array.FindIndex(front, line => line.StartsWith($"{key}:", StringComparison.Ordinal));
        if (at < 0)
        {
            return [];
        }

        string value = Bare(front[at][(key.Length + 1)..]);
        IEnumerable<string> values = value.Length == 0
            ? front[(at + 1)..].TakeWhile(line => line.TrimStart().StartsWith("- ", StringComparison.Ordinal))
                .Select(line => Bare(line.TrimStart()[2..]))
            : value.StartsWith('[') ? value.Trim('[', ']').Split(',').Select(Bare) : [value];
        return values.Where(text => text.Length > 0);
    }

    /// <summary>Without a comment behind it and quotation marks around it.</summary>
    private static string Bare(string value)
    {
        string text = value.Trim();
        int comment = text.IndexOf(" #", StringComparison.Ordinal);
        return Plain((comment < 0 ? text : text[..comment]).Trim().Trim('"', '\''));
    }

    /// <summary>One short line: what stands in a file of somebody else's goes into one of ours.</summary>
    private static string Plain(string text) => NameList.Short(string.Concat(text.Where(letter => !char.IsControl(letter))), LongestName);

    private static string Text(string path)
    {
        using FileStream stream = RegularFile.OpenRead(path);
        byte[] bytes = new byte[Math.Min(stream.Length, Beginning)];
        int length = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        return Encoding.UTF8.GetString(Utf8Text.WithoutMark(bytes.AsSpan(0, length)));
    }

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9.+_-]{0,63}\z")]
    private static partial Regex IdPattern { get; }
}
