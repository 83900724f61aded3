using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Microsoft.ML.Sorsa.Sweeps;

/// <summary>
/// Hashes of what a study holds and does not change any more. A database knows whether its own structure is whole; that a number within it
/// became another one, only these tell. They are no protection against somebody who means it.
/// </summary>
internal static class StudyHash
{
    /// <summary>Of what one text says.</summary>
    public static string Of(params IEnumerable<string?> texts) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(texts))));

    public static string OfParameters(TrialSettings trial) =>
        Of(trial.Parameters.SelectMany(parameter => new[] { parameter.Key, ParameterText.Of(parameter.Value) }));

    public static string OfLimits(IReadOnlyList<double> limits) => Of(limits.Select(limit => Text(limit)));

    public static string OfResult(TrialResult trial) => Of(
    [
        trial.State.ToString(), Text(trial.Metric), Text(trial.Orthonormality), trial.Error, Text(trial.DurationInMilliseconds),
        .. trial.Curve.SelectMany(point => new[] { ParameterText.Of(point.Step), Text(point.Loss), Text(point.Orthonormality) }),
    ]);

    /// <summary>To the last bit; SQLite knows no −0.</summary>
    private static string? Text(double? value) => value is { } number ? ParameterText.Of(number == 0 ? 0.0 : number) : null;
}
