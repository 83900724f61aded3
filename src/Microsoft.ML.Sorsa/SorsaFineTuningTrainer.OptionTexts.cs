using System.Globalization;
using System.Reflection;
using System.Text.Json;
using Microsoft.ML.Sorsa.Adapters;
using Microsoft.ML.Sorsa.Data;
using Microsoft.ML.Sorsa.Generation;
using Microsoft.ML.Sorsa.Sweeps;

namespace Microsoft.ML.Sorsa;

public sealed partial class SorsaFineTuningTrainer
{
    public sealed partial class Options
    {
        /// <summary>What belongs to a place and a process, not to what is computed.</summary>
        private static readonly string[] s_local = [nameof(ModelFolder), nameof(Progress), nameof(CancellationToken)];

        /// <summary>One base model is behind all trials.</summary>
        private static readonly string[] s_ofTheBase = [nameof(ComputeType), nameof(SavedType)];

        private static readonly PropertyInfo[] s_written = [.. typeof(Options).GetProperties()
            .Where(property => property.SetMethod is { IsPublic: true } && !s_local.Contains(property.Name, StringComparer.Ordinal)).OrderBy(property => property.Name, StringComparer.Ordinal)];

        /// <summary>The options that a sweep can vary.</summary>
        internal static IReadOnlyList<string> Sweepable { get; } =
            [.. s_written.Where(property => IsScalar(property.PropertyType) && !s_ofTheBase.Contains(property.Name, StringComparer.Ordinal)).Select(property => property.Name)];

        /// <summary>Every option as text, but for the model's folder and what belongs to this process.</summary>
        internal IEnumerable<KeyValuePair<string, string>> ToTexts() => s_written.Select(property => KeyValuePair.Create(property.Name, property.GetValue(this) switch
        {
            PromptTemplate template => template.Serialize(),
            GenerationOptions or Adapters.RankBudget => JsonSerializer.Serialize(property.GetValue(this), property.PropertyType),
            var value => ParameterText.Of(value),
        }));

        /// <summary>Sets an option to what <see cref="ToTexts"/> or a search space wrote.</summary>
        /// <exception cref="ArgumentException">There is no such option, or the text is none of its values.</exception>
        internal void Set(string name, string text)
        {
            PropertyInfo property = s_written.FirstOrDefault(property => string.Equals(property.Name, name, StringComparison.Ordinal))
                ?? throw new ArgumentException($"'{name}' is no option of the trainer. A sweep can vary {string.Join(", ", Sweepable)}.", nameof(name));
            try
            {
                property.SetValue(this, Parse(property.PropertyType, text));
            }
            catch (Exception e) when (e is FormatException or OverflowException or ArgumentException)
            {
                throw new ArgumentException($"{name}: '{text}' is no value of an option of type {TypeName(property.PropertyType)}. {(property.PropertyType == typeof(int) || property.PropertyType == typeof(int?) ? $"Use {nameof(UniformIntOption)}, or whole numbers as choices" : "Use values of that type")}.", name, e);
            }
        }

        private static object? Parse(Type type, string text)
        {
            if (Nullable.GetUnderlyingType(type) is { } underlying)
            {
                return text == ParameterText.Null ? null : Parse(underlying, text);
            }

            return type switch
            {
                _ when type == typeof(double) => double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture),
                _ when type == typeof(int) => int.Parse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture),
                _ when type == typeof(bool) => bool.Parse(text),
                _ when type == typeof(string) => text,
                _ when type.IsEnum => Enum.Parse(type, text),
                _ when type == typeof(PromptTemplate) => PromptTemplate.Deserialize(text),
                _ when type == typeof(IReadOnlyList<string>) => text.Split(','),
                _ when text == ParameterText.Null => null,
                _ => JsonSerializer.Deserialize(text, type),
            };
        }

        private static bool IsScalar(Type type)
        {
            Type bare = Nullable.GetUnderlyingType(type) ?? type;
            return bare == typeof(double) || bare == typeof(int) || bare == typeof(bool) || bare.IsEnum || bare == typeof(IReadOnlyList<string>);
        }

        private static string TypeName(Type type) => Nullable.GetUnderlyingType(type) is { } bare ? $"{TypeName(bare)}?" : type.Name;
    }
}
