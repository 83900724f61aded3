using System.Text.RegularExpressions;

namespace Microsoft.ML.Sorsa.Tests;

/// <summary>The library's sources, as files.</summary>
internal static partial class SourceFiles
{
    /// <summary>Every source below a folder, without what the build makes.</summary>
    public static IReadOnlyList<string> In(string folder) =>
    [
        .. Directory.EnumerateFiles(folder, "*.cs", SearchOption.AllDirectories)
            .Where(file => !Path.GetRelativePath(folder, file).Split(Path.DirectorySeparatorChar).Any(part => part is "obj" or "bin"))
            .Order(StringComparer.Ordinal),
    ];

    /// <summary>The file of each type that is not nested, by its full name.</summary>
    public static IReadOnlyDictionary<string, string> OfTypes(string folder)
    {
        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (string file in In(folder))
        {
            string text = File.ReadAllText(file);
            string root = Namespace.Match(text).Groups[1].Value;
            foreach (Match type in Declaration.Matches(text))
            {
                string arity = type.Groups[2].Success ? $"`{type.Groups[2].Value.Count(letter => letter == ',') + 1}" : "";

                // A nested type may have a file of its own, Outer.Nested.cs, which comes before Outer.cs: a type's file is the latter.
                files[$"{root}.{type.Groups[1].Value}{arity}"] = file;
            }
        }

        return files;
    }

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace { get; }

    /// <summary>A declaration at the left edge: what is nested is indented.</summary>
    [GeneratedRegex(
        @"^(?:(?:public|internal|sealed|abstract|static|partial|readonly|unsafe|ref) )*" +
        @"(?:class|record struct|record class|record|struct|interface|enum) (\w+)(?:<([^>]*)>)?",
        RegexOptions.Multiline)]
    private static partial Regex Declaration { get; }
}
