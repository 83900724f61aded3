using System.CommandLine;
using System.Reflection;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.Tool.Options;

/// <summary>One option of the library and its option of the command line.</summary>
internal sealed class OptionEntry
{
    private static readonly NullabilityInfoContext s_nullability = new();

    /// <param name="path">The property, behind those that lead to it: Generation, MaxNewTokens.</param>
    public OptionEntry(IReadOnlyList<PropertyInfo> path)
    {
        Path = path;
        Name = OptionName.Of(path.Select(property => property.Name));
        lock (s_nullability)
        {
            IsNullable = s_nullability.Create(Property).ReadState == NullabilityState.Nullable;
        }

        IsSection = !OptionValue.IsText(Property.PropertyType);
        Option = Create();
    }

    public IReadOnlyList<PropertyInfo> Path { get; }

    public PropertyInfo Property => Path[^1];

    /// <summary>--generation-max-new-tokens.</summary>
    public string Name { get; }

    /// <summary>Generation.MaxNewTokens, as errors of the library have it.</summary>
    public string Key => string.Join('.', Path.Select(property => property.Name));

    /// <summary>An object of options that may be null: the option makes one, with the defaults.</summary>
    public bool IsSection { get; }

    public bool IsNullable { get; }

    public Option Option { get; }

    private Type Type => IsSection ? typeof(bool) : Property.PropertyType;

    /// <summary>A text as the values that it is: a list may stand in one, between commas.</summary>
    public IEnumerable<string> Items(string text) => OptionValue.IsList(Type) ? OptionValue.Items(text) : [text];

    /// <summary>Sets it to what the command line says, in copies of the objects that lead to it: some are shared.</summary>
    /// <exception cref="CommandException">The texts are no value of it.</exception>
    public void Set(object options, IReadOnlyList<string> texts) => Set(options, () => OptionValue.Parse(Type, IsNullable, texts));

    /// <summary>Sets it to what JSON says; a section may be there as an object.</summary>
    /// <exception cref="CommandException">It is no value of it.</exception>
    public void Set(object options, JsonElement json) => Set(options, () => IsSection && json.ValueKind == JsonValueKind.Object
        ? true
        : OptionValue.FromJson(Type, IsNullable, json));

    private void Set(object options, Func<object?> read)
    {
        object? value;
        try
        {
            value = read();
        }
        catch (Exception e) when (e is FormatException or IOException or UnauthorizedAccessException)
        {
            throw new CommandException(ExitCode.Usage, e is FormatException ? $"{Name} {e.Message}" : $"{Name}: {e.Message}", e);
        }

        if (IsSection)
        {
            value = value is true ? Property.GetValue(Owner(options)) ?? Activator.CreateInstance(Property.PropertyType) : null;
        }

        Set(options, 0, value);
    }

    private object Owner(object options) =>
        Path.Take(Path.Count - 1).Aggregate(options, (owner, property) => property.GetValue(owner)!);

    private void Set(object owner, int depth, object? value)
    {
        PropertyInfo property = Path[depth];
        if (depth < Path.Count - 1)
        {
            object inner = Copy(property, property.GetValue(owner));
            Set(inner, depth + 1, value);
            value = inner;
        }

        try
        {
            property.SetValue(owner, value);
        }
        catch (TargetInvocationException e) when (e.InnerException is ArgumentException outside)
        {
            string message = Quotation.Around(
                Failure.Of(outside, Wording.OfTrainer).Message,
                text => text.Replace(OptionName.Of(property.Name), Name, StringComparison.Ordinal));
            throw new CommandException(ExitCode.Usage, message, outside);
        }
    }

    private object Copy(PropertyInfo property, object? value) => value is null
        ? property.PropertyType.GetConstructor([])?.Invoke([]) ?? throw new CommandException(
            ExitCode.Usage, $"{Name} belongs to {OptionName.Of(property.Name)}, which is not set. Set both.")
        : property.PropertyType.GetMethod("<Clone>$")?.Invoke(value, null) ?? value;

    private Option Create()
    {
        Option option = Type == typeof(bool) || Nullable.GetUnderlyingType(Type) == typeof(bool)
            ? new Option<bool>(Name)
            : OptionValue.IsList(Type) ? new Option<string[]>(Name) { Arity = ArgumentArity.OneOrMore }
            : new Option<string>(Name);
        option.HelpName = OptionValue.HelpName(Type);
        if (OptionValue.Choices(Type) is { Count: > 0 } choices && option is Option<string> named)
        {
            named.CompletionSources.Add([.. choices]);
        }

        return option;
    }
}
