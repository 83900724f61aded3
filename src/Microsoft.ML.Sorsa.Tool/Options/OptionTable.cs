using System.CommandLine;
using System.CommandLine.Parsing;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.ML.Sorsa.Training;

namespace Microsoft.ML.Sorsa.Tool.Options;

// Microsoft.ML.Command is a namespace.
using Command = System.CommandLine.Command;

/// <summary>
/// The options of a type of the library, found by its properties: on the command line under the same names, and as JSON. A property that
/// is new appears by itself; one whose type cannot be written is an error of the first run.
/// </summary>
/// <typeparam name="T">The trainer's options, or another such type.</typeparam>
internal sealed class OptionTable<T>
    where T : class, new()
{
    /// <summary>The bare names of what has options of its own.</summary>
    private readonly HashSet<string> _objects;

    /// <param name="skip">Names of properties that are no options here.</param>
    public OptionTable(params string[] skip)
    {
        Entries = [.. Find(typeof(T), []).Where(entry => !skip.Contains(entry.Path[0].Name, StringComparer.Ordinal))];
        _objects =
        [
            .. Entries.SelectMany(entry => Enumerable.Range(1, entry.Path.Count - 1).Select(depth => Bare(entry.Path.Take(depth)))),
        ];
    }

    public IReadOnlyList<OptionEntry> Entries { get; }

    public void AddTo(Command command)
    {
        foreach (OptionEntry entry in Entries)
        {
            command.Options.Add(entry.Option);
        }
    }

    /// <summary>The first option that the command line has; null: none.</summary>
    /// <param name="arguments">The command line.</param>
    /// <param name="but">Keys of options that do not count.</param>
    public OptionEntry? FirstSet(ParseResult arguments, params IReadOnlyCollection<string> but) =>
        Entries.FirstOrDefault(entry => IsSet(arguments, entry) && !but.Contains(entry.Key));

    /// <summary>Whether the command line has an option.</summary>
    public bool Has(ParseResult arguments, string key) => Entries.Any(entry => entry.Key == key && IsSet(arguments, entry));

    /// <summary>The files that the command line has values in: @FILE.</summary>
    public IEnumerable<string> Files(ParseResult arguments) => Entries
        .Where(entry => IsSet(arguments, entry))
        .SelectMany(entry => arguments.GetResult(entry.Option)!.Tokens.Select(
            token => OptionValue.File(entry.Property.PropertyType, token.Value)))
        .OfType<string>();

    /// <summary>Sets what the command line says, over what is there.</summary>
    /// <exception cref="CommandException">A text is no value of its option.</exception>
    public T Apply(ParseResult arguments, T options)
    {
        foreach (OptionEntry entry in Entries.Where(entry => IsSet(arguments, entry)))
        {
            OptionResult result = arguments.GetResult(entry.Option)!;

            // A flag without a value.
            string[] texts = [.. result.Tokens.Select(token => token.Value).SelectMany(entry.Items)];
            entry.Set(options, texts.Length == 0 && entry.Option is Option<bool> ? ["true"] : texts);
        }

        return options;
    }

    /// <summary>Sets what JSON says: names as here or as the library has them, objects within or one after the other.</summary>
    /// <returns>The keys that are none of the options.</returns>
    /// <exception cref="CommandException">A value is none of its option.</exception>
    public IReadOnlyList<string> Apply(JsonElement json, T options)
    {
        Dictionary<string, (string Key, JsonElement Value)> found = new(StringComparer.Ordinal);
        Flatten(json, "", found);
        foreach (OptionEntry entry in Entries)
        {
            if (found.Remove(Bare(entry.Path), out var given))
            {
                entry.Set(options, given.Value);
            }
        }

        foreach ((string bare, (string key, JsonElement value)) in found)
        {
            if (_objects.Contains(bare) && value.ValueKind != JsonValueKind.Object)
            {
                throw new CommandException(ExitCode.Usage,
                    $"'{key}' is {OptionValue.Kind(value)}; it must be an object with its options: {{ ... }}.");
            }
        }

        return [.. found.Values.Select(left => left.Key)];
    }

    /// <summary>All options with their values, under the library's names.</summary>
    public JsonObject ToJson(T options)
    {
        var json = new JsonObject();
        foreach (OptionEntry entry in Entries)
        {
            Write(json, entry, options);
        }

        return json;
    }

    private static void Write(JsonObject json, OptionEntry entry, object options)
    {
        object? owner = options;
        for (int i = 0; i < entry.Path.Count - 1 && owner is not null; i++)
        {
            owner = entry.Path[i].GetValue(owner);
            if (owner is not null && !OptionValue.IsText(entry.Path[i].PropertyType))
            {
                json = json[entry.Path[i].Name] as JsonObject ?? Add(json, entry.Path[i].Name);
            }
        }

        if (owner is null)
        {
            return;
        }

        object? value = entry.Property.GetValue(owner);
        if (entry.IsSection)
        {
            json[entry.Property.Name] = value is null ? null : new JsonObject();
            return;
        }

        // What belongs to a value that is one text stands beside it.
        bool isBeside = entry.Path.Count > 1 && OptionValue.IsText(entry.Path[^2].PropertyType);
        json[isBeside ? entry.Path[^2].Name + entry.Property.Name : entry.Property.Name] = OptionValue.ToJson(value);
    }

    private static JsonObject Add(JsonObject json, string name)
    {
        var added = new JsonObject();
        json[name] = added;
        return added;
    }

    /// <summary>
    /// What stands in objects, under the names of these and its own. An object is a value where one is expected, or none.
    /// </summary>
    private void Flatten(JsonElement json, string prefix, Dictionary<string, (string, JsonElement)> found)
    {
        foreach (JsonProperty property in json.EnumerateObject())
        {
            string key = prefix.Length == 0 ? property.Name : $"{prefix}.{property.Name}";
            string bare = OptionName.Bare(key.Replace(".", "", StringComparison.Ordinal));
            bool isObject = property.Value.ValueKind == JsonValueKind.Object;
            if ((!isObject || IsValue(bare, property.Value)) && !found.TryAdd(bare, (key, property.Value)))
            {
                throw new CommandException(ExitCode.Usage, $"'{key}' is there twice. Keep one.");
            }

            if (isObject)
            {
                Flatten(property.Value, key, found);
            }
        }
    }

    /// <summary>Whether an object is more than what leads to its members: it makes a section, or is one too many.</summary>
    private bool IsValue(string bare, JsonElement json) => _objects.Contains(bare)
        ? Entries.Any(entry => entry.IsSection && Bare(entry.Path) == bare)
        : !json.EnumerateObject().Any() || Entries.Any(entry => Bare(entry.Path) == bare);

    private static string Bare(IEnumerable<PropertyInfo> path) => OptionName.Bare(string.Concat(path.Select(property => property.Name)));

    public static bool IsSet(ParseResult arguments, OptionEntry entry) => arguments.GetResult(entry.Option) is { Implicit: false };

    private static IEnumerable<OptionEntry> Find(Type type, PropertyInfo[] before)
    {
        foreach (PropertyInfo property in type.GetProperties().Where(property => property.SetMethod is { IsPublic: true }))
        {
            PropertyInfo[] path = [.. before, property];
            Type of = property.PropertyType;
            if (IsOfTheProcess(of))
            {
                continue;
            }

            bool isText = OptionValue.IsText(of),
                hasOptions = of.IsClass && of.Assembly == typeof(SorsaFineTuningTrainer).Assembly;
            if (!isText && !(hasOptions && of.GetConstructor([]) is not null))
            {
                throw new NotSupportedException(
                    $"{type.Name}.{property.Name} is a {of.Name}, which has no form on the command line. Give it one in OptionValue.");
            }

            var entry = new OptionEntry(path);
            if (isText || entry.IsNullable)
            {
                yield return entry;
            }

            if (hasOptions)
            {
                foreach (OptionEntry inner in Find(of, path))
                {
                    yield return inner;
                }
            }
        }
    }

    /// <summary>What a program hands over, and no user writes down.</summary>
    private static bool IsOfTheProcess(Type type) =>
        type == typeof(CancellationToken) || type == typeof(ITrainingRanks)
        || (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IProgress<>));
}
